//! How many slices a second one thread augments: `augment_speed PREPARED PRESET [SLICES [SHARE]]`.
//!
//! PRESET is `library`, `ct`, another preset or a pipeline in a TOML file. Prints one line of JSON with slices per second
//! of wall time and of processor time, and, after it, what each transform costs on its own.
//! `tools/peers/augment_albumentations.py` runs this and the paper's library by turns.

use std::error::Error;
use std::time::{Duration, Instant};

use nephrotrain::augment::{Augmentation, Sample, Spare};
use nephrotrain::closed_form::Stream;
use nephrotrain::data::Prepared;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: augment_speed PREPARED PRESET [SLICES [SHARE]]";
    let (data, preset) = (args.first().ok_or(usage)?, args.get(1).ok_or(usage)?);
    let slices: u32 = args.get(2).map_or(Ok(2000), |n| n.parse())?;
    let share: f64 = args.get(3).map_or(Ok(0.75), |n| n.parse())?;
    let data = Prepared::open(data)?;
    let whole = Augmentation::named(preset, share)?;
    whole.check()?;

    measure(&data, &whole, slices.min(200)); // warm up: pages, clock, the elastic transform's filter
    let (wall, cpu) = measure(&data, &whole, slices);
    let result = serde_json::json!({
        "preset": preset, "share": share, "side": data.side(), "slices": slices,
        "slices_per_second": f64::from(slices) / wall.as_secs_f64(),
        "slices_per_cpu_second": f64::from(slices) / cpu.as_secs_f64(),
    });
    println!("{result}");
    for step in &whole.steps {
        let alone = Augmentation {
            share: 1.0,
            steps: vec![nephrotrain::augment::Step {
                chance: 1.0,
                ..*step
            }],
        };
        let n = slices.min(300);
        measure(&data, &alone, n.min(20));
        let (_, cpu) = measure(&data, &alone, n);
        eprintln!(
            "{:>9.1} us  {}",
            cpu.as_secs_f64() * 1e6 / f64::from(n),
            alone.steps[0]
        );
    }
    Ok(())
}

/// Augments `slices` slices as the loader does, each from its own copy. Returns wall and processor time.
fn measure(data: &Prepared, augmentation: &Augmentation, slices: u32) -> (Duration, Duration) {
    let mut spare = Spare::default();
    let (wall, cpu) = (Instant::now(), processor_time());
    let mut sum = 0.0;
    for i in 0..slices {
        let index = i % data.len() as u32;
        let (image, labels) = (data.image(index).to_vec(), data.labels(index).to_vec());
        let mut sample = Sample::new(data.side(), data.side(), image, labels);
        let mut draw = Stream::new(&format!("speed/{i}"));
        augmentation.apply(&mut sample, &mut spare, &mut draw);
        sum += sample.image[sample.image.len() / 2];
    }
    std::hint::black_box(sum);
    let wall = wall.elapsed();
    let cpu = processor_time()
        .zip(cpu)
        .map(|(now, then)| now.checked_sub(then).unwrap());
    (wall, cpu.unwrap_or(wall))
}

/// What this thread has used so far; where the system does not tell, wall time has to do.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}
