//! Devices of Burn that are compiled in and present.

use ::burn::tensor::Device;

use super::DeviceError;

/// Chooses a device by name.
///
/// * `cpu`: Burn's Flex backend, always there.
/// * `cuda`, `vulkan`: the first such GPU; an error if it is not compiled in or not present. Software Vulkan drivers do not count.
/// * `webgpu`: the first adapter of any kind, software drivers included, through WGSL: to prove the GPU path without a GPU.
/// * `auto`: the first GPU in the order CUDA, Vulkan, else the CPU. Never fails.
///
/// A number after a colon picks another than the first: `cuda:1`.
pub fn select(name: &str) -> Result<Device, DeviceError> {
    let mut devices = select_all(name)?;
    if devices.len() > 1 {
        return Err(DeviceError::Several(name.to_owned()));
    }
    Ok(devices.remove(0))
}

/// Chooses one or more devices of a kind: `NAME` (the first), `NAME:1`, `NAME:0,2`, `NAME:all`, with the names of [`select`].
///
/// `cpu:0,1` is the same CPU twice, which gains nothing and shows that a run over several devices works. Never empty.
pub fn select_all(spec: &str) -> Result<Vec<Device>, DeviceError> {
    let (name, list) = match spec.split_once(':') {
        Some((name, list)) => (name, Some(list)),
        None => (spec, None),
    };
    let found = match name {
        "auto" => cuda()
            .or_else(|_| vulkan())
            .unwrap_or_else(|_| vec![Device::flex()]),
        "cpu" => vec![Device::flex()],
        "cuda" => cuda()?,
        "vulkan" => vulkan()?,
        "webgpu" => webgpu()?,
        other => return Err(DeviceError::Unknown(other.to_owned())),
    };
    let Some(list) = list else {
        return Ok(found.into_iter().take(1).collect());
    };
    if list == "all" {
        return Ok(found);
    }
    let mut chosen: Vec<usize> = Vec::new();
    for number in list.split(',') {
        let number = number.trim().parse();
        let index: usize = number.map_err(|_| DeviceError::List(spec.to_owned()))?;
        let name = || name.to_owned();
        if name() != "cpu" && index >= found.len() {
            return Err(DeviceError::Index {
                name: name(),
                index,
                found: found.len(),
            });
        }
        if chosen.contains(&index) {
            return Err(DeviceError::Twice {
                name: name(),
                index,
            });
        }
        chosen.push(index);
    }
    let device = |&index: &usize| found[index.min(found.len() - 1)].clone();
    Ok(chosen.iter().map(device).collect())
}

/// The name [`select`] knows a device by, without its number.
pub fn name(device: &Device) -> &'static str {
    if *device == Device::flex() {
        return "cpu";
    }
    let kinds = [("cuda", cuda()), ("vulkan", vulkan())];
    let is = |found: &Result<Vec<Device>, DeviceError>| {
        found.as_ref().is_ok_and(|found| found.contains(device))
    };
    kinds
        .iter()
        .find(|(_, found)| is(found))
        .map_or("webgpu", |(name, _)| name)
}

/// Whether a device is a software driver: kernels for a GPU, run by the CPU.
#[cfg(any(feature = "vulkan", feature = "webgpu"))]
pub fn is_software(device: &Device) -> bool {
    *device == Device::wgpu(::burn::tensor::DeviceKind::Cpu)
}

/// Whether a device is a software driver: kernels for a GPU, run by the CPU.
#[cfg(not(any(feature = "vulkan", feature = "webgpu")))]
pub const fn is_software(_device: &Device) -> bool {
    false
}

/// Whether a device computes in floating point of 16 bits, and does not only store it. Opens the device.
pub fn has_halves(device: &Device) -> bool {
    device.supports_dtype(::burn::tensor::FloatDType::F16)
}

/// What a GPU calls itself, such as `NVIDIA Orin`; `None` for the CPU. Opens the device.
pub fn part(device: &Device) -> Option<String> {
    #[cfg(feature = "gpu")]
    if *device != Device::flex() {
        return device.identity().map(|identity| identity.name);
    }
    let _ = device;
    None
}

/// Bytes of memory that are free on a CUDA device, as its driver says; `None` for every other device.
///
/// For the CPU ask the operating system; Vulkan and WebGPU do not tell.
pub fn free_memory(device: &Device) -> Option<u64> {
    #[cfg(feature = "cuda")]
    if name(device) == "cuda" {
        let index = cuda().ok()?.iter().position(|found| found == device)?;
        let context = cudarc::driver::CudaContext::new(index).ok()?;
        return context.mem_get_info().ok().map(|(free, _)| free as u64);
    }
    let _ = device;
    None
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Vec<Device>, DeviceError> {
    let found: Vec<Device> = Device::enumerate(::burn::tensor::DeviceType::Cuda)
        .into_iter()
        .collect();
    if found.is_empty() {
        return Err(DeviceError::Absent { name: "cuda" });
    }
    if !nvrtc_is_present() {
        return Err(DeviceError::Toolkit {
            missing: "the library NVRTC",
        });
    }
    let headers = cubecl_cuda::install::cuda_path().map(|path| path.join("include"));
    if !headers.is_some_and(|path| path.is_dir()) {
        return Err(DeviceError::Toolkit {
            missing: "the CUDA headers",
        });
    }
    Ok(found)
}

#[cfg(feature = "cuda")]
#[allow(unsafe_code)]
fn nvrtc_is_present() -> bool {
    // SAFETY: the call only tries to open the library by each of its names.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

#[cfg(not(feature = "cuda"))]
const fn cuda() -> Result<Vec<Device>, DeviceError> {
    Err(DeviceError::NotCompiled { name: "cuda" })
}

#[cfg(feature = "vulkan")]
fn vulkan() -> Result<Vec<Device>, DeviceError> {
    use ::burn::tensor::{DeviceKind, DeviceType};
    // Discrete GPUs are listed first, software drivers as `Cpu`.
    let software = Device::vulkan(DeviceKind::Cpu);
    let found = Device::enumerate(DeviceType::Vulkan).into_iter();
    some(
        found.filter(|device| *device != software).collect(),
        "vulkan",
    )
}

#[cfg(not(feature = "vulkan"))]
const fn vulkan() -> Result<Vec<Device>, DeviceError> {
    Err(DeviceError::NotCompiled { name: "vulkan" })
}

/// Burn's `Device::webgpu` is the browser's own; natively the same kernels run on whatever API wgpu finds.
#[cfg(feature = "webgpu")]
fn webgpu() -> Result<Vec<Device>, DeviceError> {
    let found = Device::enumerate(::burn::tensor::DeviceType::Wgpu).into_iter();
    some(found.collect(), "webgpu")
}

#[cfg(not(feature = "webgpu"))]
const fn webgpu() -> Result<Vec<Device>, DeviceError> {
    Err(DeviceError::NotCompiled { name: "webgpu" })
}

#[cfg(any(feature = "vulkan", feature = "webgpu"))]
fn some(found: Vec<Device>, name: &'static str) -> Result<Vec<Device>, DeviceError> {
    if found.is_empty() {
        Err(DeviceError::Absent { name })
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::NAMES;
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!(select("cpu"), Ok(Device::flex()));
        assert_eq!(name(&Device::flex()), "cpu");
        assert_eq!(free_memory(&Device::flex()), None);
    }

    #[test]
    fn auto_never_fails() {
        assert!(select("auto").is_ok());
    }

    #[test]
    #[cfg(not(any(feature = "cuda", feature = "vulkan", feature = "webgpu")))]
    fn a_build_without_gpus_names_the_feature_to_build_with() {
        assert_eq!(select("auto"), Ok(Device::flex()));
        for gpu in ["cuda", "vulkan", "webgpu"] {
            let message = select(gpu).unwrap_err().to_string();
            assert!(message.contains(&format!("--features {gpu}")), "{message}");
        }
    }

    #[test]
    fn other_names_are_refused_with_the_choice() {
        let message = select("gpu").unwrap_err().to_string();
        assert!(NAMES.iter().all(|name| message.contains(name)), "{message}");
    }

    #[test]
    fn several_devices_are_a_list() {
        assert_eq!(select_all("cpu").unwrap().len(), 1);
        assert_eq!(select_all("cpu:all").unwrap().len(), 1);
        assert_eq!(select_all("cpu:0,1").unwrap().len(), 2);
        for (spec, said) in [
            ("cpu:0,0", "twice"),
            ("cpu:", "numbers"),
            ("cpu:x", "numbers"),
            ("gpu:0", "no device"),
        ] {
            let message = select_all(spec).unwrap_err().to_string();
            assert!(message.contains(said), "{spec}: {message}");
        }
        assert!(
            select("cpu:0,1")
                .unwrap_err()
                .to_string()
                .contains("name one")
        );
        assert!(select("cpu:0").is_ok());
    }

    /// With the feature and without a GPU: one sentence, no panic.
    #[test]
    #[cfg(feature = "cuda")]
    fn cuda_without_a_device_is_an_error() {
        match select_all("cuda:all") {
            Ok(found) => assert!(!found.is_empty()),
            Err(e) => assert!(e.to_string().contains("use the device cpu"), "{e}"),
        }
    }
}
