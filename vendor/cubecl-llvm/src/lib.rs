//! Stand-in for `cubecl-llvm` with the same names and no LLVM in it.
//!
//! The real crate downloads a prebuilt LLVM while it compiles, for the machine that builds. That fails without a
//! network and cannot work when building for another architecture. `cubecl-cuda` needs the crate unconditionally, but with its feature `cpp` generates C++ for
//! NVRTC and never calls it. So compiling through this crate is always an error, and nothing in it runs.
//!
//! Only the items that `cubecl-cuda` 0.11.3 names exist. To use the real crate, remove the `[patch.crates-io]` entry
//! from the workspace's `Cargo.toml`.

#![allow(missing_docs, reason = "the names and their meaning are those of the real crate")]

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_server::compiler::CompilationError;
use cubecl_server::kernel::BufferIOAttr;

pub mod nvptx {
    pub mod ptx_version {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(());

        impl PtxVersion {
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl core::fmt::Display for PtxVersion {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("none")
            }
        }
    }
}

pub mod shared {
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        pub enum GpuTarget {
            Nvptx,
        }

        /// Only called when the LLVM compiler is the one selected.
        pub fn restrict_features(_props: &mut DeviceProperties, _target: GpuTarget) {}
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    #[default]
    Nvptx,
}

#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    pub target: LlvmTarget,
}

#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    pub arch: Option<()>,
    pub sm_arch: Option<SmArch>,
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    pub grid_constants: bool,
    pub _other: (),
}

#[derive(Clone, Debug)]
pub struct NvptxModule {
    pub ptx: Vec<core::ffi::c_char>,
    pub entrypoint: String,
    pub ir: String,
    pub shared_memory_size: usize,
    pub io: Vec<BufferIOAttr>,
}

#[derive(Clone)]
pub enum PlironArtifact {
    NvptxCode(NvptxModule),
    Other,
}

impl PlironCompiler {
    pub fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic {
            reason: "this program was built without LLVM; cubecl-cuda needs its feature `cpp`".into(),
            backtrace: cubecl_environment::backtrace::BackTrace::capture(),
        })
    }

    pub fn lang_tag(&self) -> &'static str {
        "none"
    }
}
