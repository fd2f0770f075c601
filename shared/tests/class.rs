//! Classes: their numbering and whether readers can tell the colours apart.

use nephrobox_shared::class::Class;

#[test]
fn labels_are_those_of_kits19() {
    for label in 0..=u8::MAX {
        let class = Class::from_label(label);
        assert_eq!(class.is_some(), label <= 2);
        assert_eq!(class.map_or(label, Class::label), label);
    }
    assert_eq!(Class::ALL.map(Class::index), [0, 1, 2]);
    assert_eq!(
        Class::ALL.map(Class::name),
        ["background", "kidney", "tumour"]
    );
    assert_eq!(serde_json::to_string(&Class::Tumour).unwrap(), "\"tumour\"");
}

/// Full dichromacy in linear RGB: Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color
/// vision deficiency", 2009, severity 1.0.
const DICHROMACIES: [(&str, [[f64; 3]; 3]); 3] = [
    (
        "protanopia",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ),
];

fn linear(colour: [u8; 3]) -> [f64; 3] {
    colour.map(|v| {
        let v = f64::from(v) / 255.0;
        if v <= 0.040_45 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    })
}

#[test]
fn kidney_and_tumour_differ_for_colour_blind_readers_and_in_grey() {
    let [kidney, tumour] = [Class::Kidney, Class::Tumour].map(|class| linear(class.colour()));
    for (name, matrix) in DICHROMACIES {
        let seen = |colour: [f64; 3]| {
            matrix.map(|row| row.iter().zip(colour).map(|(m, v)| m * v).sum::<f64>())
        };
        let distance = seen(kidney)
            .iter()
            .zip(seen(tumour))
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>()
            .sqrt();
        assert!(distance > 0.4, "{name}: {distance}");
    }
    // WCAG 2 relative luminance; 1.5 to 1 is a visible step in grey.
    let luminance = |c: [f64; 3]| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05;
    assert!(luminance(kidney) / luminance(tumour) > 1.5);
}
