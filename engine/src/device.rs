//! Choosing where a program runs: on the CPU, or on a GPU that is both compiled in and present.
//!
//! Presence is asked of the driver before anything is computed. Burn's own `Device::default()` prefers a compiled-in GPU
//! backend without looking, and then panics on a machine that has none.

use ::burn::tensor::Device;

/// Names accepted by [`select`].
pub const NAMES: [&str; 4] = ["auto", "cpu", "cuda", "vulkan"];

/// Why no device was chosen. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not one of [`NAMES`].
    #[error("there is no device called `{0}`; choose auto, cpu, cuda or vulkan")]
    Unknown(String),
    /// The program was built without that backend.
    #[error(
        "this program was built without {name}; build it with `--features {name}`, or use the device cpu"
    )]
    NotCompiled {
        /// Name of the device and of the Cargo feature.
        name: &'static str,
    },
    /// The backend is there and no such device is.
    #[error(
        "no {name} device was found on this machine; install its driver, or use the device cpu"
    )]
    Absent {
        /// Name of the device.
        name: &'static str,
    },
}

/// Chooses a device by name.
///
/// * `cpu`: Burn's Flex backend, always there.
/// * `cuda`, `vulkan`: the first such GPU; an error if it is not compiled in or not present. Software Vulkan drivers do not count.
/// * `auto`: the first GPU in the order CUDA, Vulkan, else the CPU. Never fails.
pub fn select(name: &str) -> Result<Device, DeviceError> {
    match name {
        "auto" => Ok(cuda()
            .or_else(|_| vulkan())
            .unwrap_or_else(|_| Device::flex())),
        "cpu" => Ok(Device::flex()),
        "cuda" => cuda(),
        "vulkan" => vulkan(),
        other => Err(DeviceError::Unknown(other.to_owned())),
    }
}

/// The name [`select`] knows a device by.
pub fn name(device: &Device) -> &'static str {
    if *device == Device::flex() {
        return "cpu";
    }
    if cuda().is_ok_and(|cuda| cuda == *device) {
        "cuda"
    } else {
        "vulkan"
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, DeviceError> {
    let found = Device::enumerate(::burn::tensor::DeviceType::Cuda);
    found
        .into_iter()
        .next()
        .ok_or(DeviceError::Absent { name: "cuda" })
}

#[cfg(not(feature = "cuda"))]
const fn cuda() -> Result<Device, DeviceError> {
    Err(DeviceError::NotCompiled { name: "cuda" })
}

#[cfg(feature = "vulkan")]
fn vulkan() -> Result<Device, DeviceError> {
    use ::burn::tensor::{DeviceKind, DeviceType};
    // Discrete GPUs are listed first, software drivers as `Cpu`.
    let software = Device::vulkan(DeviceKind::Cpu);
    let mut found = Device::enumerate(DeviceType::Vulkan).into_iter();
    found
        .find(|device| *device != software)
        .ok_or(DeviceError::Absent { name: "vulkan" })
}

#[cfg(not(feature = "vulkan"))]
const fn vulkan() -> Result<Device, DeviceError> {
    Err(DeviceError::NotCompiled { name: "vulkan" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!(select("cpu"), Ok(Device::flex()));
        assert_eq!(name(&Device::flex()), "cpu");
    }

    #[test]
    fn auto_never_fails() {
        assert!(select("auto").is_ok());
    }

    #[test]
    #[cfg(not(any(feature = "cuda", feature = "vulkan")))]
    fn a_build_without_gpus_names_the_feature_to_build_with() {
        assert_eq!(select("auto"), Ok(Device::flex()));
        for gpu in ["cuda", "vulkan"] {
            let message = select(gpu).unwrap_err().to_string();
            assert!(message.contains(&format!("--features {gpu}")), "{message}");
        }
    }

    #[test]
    fn other_names_are_refused_with_the_choice() {
        let message = select("gpu").unwrap_err().to_string();
        assert!(NAMES.iter().all(|name| message.contains(name)), "{message}");
    }
}
