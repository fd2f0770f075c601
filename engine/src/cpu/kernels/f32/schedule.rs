//! Steps in the order they run, and the memory they run in.
#![allow(unsafe_code)]

use std::ops::Range;

use super::direct::DirectJob;
use super::flat::FlatJob;
use super::images::ImageJob;
use super::memory::Shared;
use super::winograd::WinogradJob;
use super::{Buffer, Concat, Direct, Double, Flat, Frame, Pool, Region, Winograd, panels};
use crate::cpu::kernels::KernelSet;
use crate::cpu::team::{Member, Team};

/// Something that all threads of a team do together, each its share.
pub(crate) enum Step {
    /// A sum of convolutions.
    Direct(Direct),
    /// A sum of 3 x 3 convolutions with fewer multiplications.
    Winograd(Winograd),
    /// Number by number.
    Flat(Flat),
    /// Largest number below a kernel.
    Pool(Pool),
    /// Each pixel four times.
    Double(Double),
    /// Two images beside each other.
    Concat(Concat),
    /// Zeros around an image.
    Frame(Frame),
}

/// What a step touches, and whether its parts fit.
pub(super) struct StepCheck {
    /// Read while others write.
    pub(super) reads: Vec<Region>,
    /// Read number by number, just before the same thread writes there or elsewhere.
    pub(super) adds: Option<Region>,
    /// Written.
    pub(super) writes: Vec<Region>,
    /// What else has to hold.
    pub(super) sound: bool,
}

impl StepCheck {
    /// Whether threads can do it in `len` numbers without leaving them and without reading what another writes.
    fn holds(&self, len: usize) -> bool {
        let all = self.reads.iter().chain(&self.adds).chain(&self.writes);
        let inside = all.clone().all(|region| {
            let end = region.start.checked_add(region.len);
            end.is_some_and(|end| end <= len)
        });
        let apart = self.writes.iter().enumerate().all(|(i, write)| {
            let read = self.reads.iter().any(|read| read.overlaps(*write));
            let twice = self.writes[..i].iter().any(|other| other.overlaps(*write));
            let added = self
                .adds
                .is_some_and(|add| add != *write && add.overlaps(*write));
            !read && !twice && !added
        });
        self.sound && inside && apart
    }
}

/// One of several equal shares.
#[derive(Clone, Copy)]
pub(super) struct Share {
    index: usize,
    count: usize,
}

impl Share {
    /// Everything.
    pub(super) const ALL: Self = Self { index: 0, count: 1 };

    pub(super) const fn of_member(member: &Member<'_>) -> Self {
        Self {
            index: member.index,
            count: member.count,
        }
    }

    /// This share of `items` things in a row.
    pub(super) const fn of(self, items: usize) -> Range<usize> {
        self.index * items / self.count..(self.index + 1) * items / self.count
    }
}

/// Steps that have been checked against the memory they run in.
pub(crate) struct Schedule {
    steps: Vec<Step>,
    memory: Buffer,
    kernels: KernelSet,
    threads: usize,
}

impl Schedule {
    /// Takes steps that touch `len` numbers, planned for `kernels` and a team of `threads` threads.
    ///
    /// `None` if this machine lacks the kernels or the memory.
    ///
    /// # Panics
    ///
    /// If a step leaves the memory or reads what it writes: an error of whoever planned it, whatever the network.
    pub(crate) fn new(
        steps: Vec<Step>,
        len: usize,
        kernels: KernelSet,
        threads: usize,
    ) -> Option<Self> {
        let memory = Buffer::zeros(len)?;
        let panels = panels(kernels);
        for (number, step) in steps.iter().enumerate() {
            let check = match step {
                Step::Direct(step) => step.check(panels),
                Step::Winograd(step) => step.check(panels, threads),
                Step::Flat(step) => step.check(),
                Step::Pool(step) => step.check(),
                Step::Double(step) => step.check(),
                Step::Concat(step) => step.check(),
                Step::Frame(step) => step.check(),
            };
            assert!(check.holds(memory.len()), "step {number} is planned wrong");
        }
        kernels.is_available().then_some(Self {
            steps,
            memory,
            kernels,
            threads,
        })
    }

    /// How many steps there are.
    pub(crate) const fn len(&self) -> usize {
        self.steps.len()
    }

    /// Bytes of memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.memory.len() * size_of::<f32>()
    }

    /// A piece of the memory; empty if there is no such piece.
    pub(crate) fn read(&self, region: Region) -> &[f32] {
        self.memory
            .as_slice()
            .get(region.start..region.end())
            .unwrap_or_default()
    }

    /// A piece of the memory, to be written; empty if there is no such piece.
    pub(crate) fn write(&mut self, region: Region) -> &mut [f32] {
        self.memory
            .as_mut_slice()
            .get_mut(region.start..region.end())
            .unwrap_or_default()
    }

    /// Runs some of the steps, one after another.
    ///
    /// # Panics
    ///
    /// If the team has more threads than the schedule is made for.
    pub(crate) fn run(&mut self, team: &Team, steps: Range<usize>) {
        assert!(
            team.threads() <= self.threads,
            "each thread has its scratch"
        );
        let (memory, kernels) = (self.memory.shared(), self.kernels);
        let steps = self.steps.get(steps).unwrap_or_default();
        team.run(|mut member| {
            for step in steps {
                // SAFETY: the kernels are available and every step passed its check; all members run the same steps, each its
                // share, and meet after each.
                unsafe { share(step, memory, kernels, &mut member) };
                member.wait();
            }
        });
    }
}

/// Does one member's share of a step.
///
/// # Safety
///
/// The kernels are available, and the step has passed its check for this memory.
unsafe fn share(step: &Step, memory: Shared, kernels: KernelSet, member: &mut Member<'_>) {
    let memory = memory.start();
    let share = Share::of_member(member);
    // SAFETY: the caller's promise.
    unsafe {
        match step {
            Step::Direct(step) => super::run(
                kernels,
                DirectJob {
                    step,
                    memory,
                    share,
                },
            ),
            Step::Winograd(step) => super::run(
                kernels,
                WinogradJob {
                    step,
                    memory,
                    member,
                },
            ),
            Step::Flat(step) => super::run(
                kernels,
                FlatJob {
                    step,
                    memory,
                    share,
                },
            ),
            Step::Pool(step) => super::run(
                kernels,
                ImageJob {
                    step,
                    memory,
                    share,
                },
            ),
            Step::Double(step) => super::run(
                kernels,
                ImageJob {
                    step,
                    memory,
                    share,
                },
            ),
            Step::Concat(step) => super::run(
                kernels,
                ImageJob {
                    step,
                    memory,
                    share,
                },
            ),
            Step::Frame(step) => super::run(
                kernels,
                ImageJob {
                    step,
                    memory,
                    share,
                },
            ),
        }
    }
}
