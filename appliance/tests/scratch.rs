//! scratch
mod support;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Builder, Storage, Tensor};
use nephrobox_shared::preprocess::Preprocess;
#[test]
fn scratch() {
    let folder = std::path::Path::new("/tmp/h6look");
    let mut builder = Builder::new(1, 32);
    let n = 9;
    let k = n * n;
    let a = vec![1.0 / k as f32; k];
    let mut w = vec![0.0f32; k];
    w.extend(&a);
    w.extend(a.iter().map(|x| x * 3.0));
    let weight = Tensor::f32("head", vec![3, 1, n, n], w).expect("a tensor");
    let bias = Tensor::f32("bias", vec![3], vec![0.0, -0.63, -2.39]).expect("a tensor");
    let (weight, bias) = (builder.tensor(weight), builder.tensor(bias));
    let logits = builder.conv2d(builder.input(), weight, Some(bias), 1, 4);
    let (program, tensors) = builder.finish(logits, 3).expect("a program");
    let mut m = support::manifest();
    m.input.preprocess = Preprocess::default();
    Model::new(m, program, tensors)
        .unwrap()
        .save(folder.join("blur.nbx"), Storage::F16)
        .unwrap();
}
