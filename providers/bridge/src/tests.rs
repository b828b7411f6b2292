use std::ffi::c_void;

use remuda_ir::{OpError, Val, text};
use remuda_tensor::{DType, Tensor};

use crate::{
    Failure, GraphExport, export, export_result, failure_of, import_graph, import_owned, status_of,
};

const EVERYTHING: &str = r#"graph "g" {
  input %x: f32[batch, 3, floordiv(h + 1, 2)]
  input %c: bool[]
  input %s: seq(f32[..])
  input %o: optional(i64[2])
  state %kv: kv_cache(f16, 4, 64, 64, 512)
  const %w: f32[2] = x0000803f00000040
  const %t: string[2] = "a\"b" "ü"
  %y: f32[batch, 3, ?], _ = com.microsoft::Foo(%x, _, %w) {a = 1, b = 1.5f, c = "x", d = ints[1, -2], e = floats[0.5f], f = texts["p", "q"], g = tensor f32[1] = x0000803f;, h = type seq(i64[n])} @"a node"
  %z = If(%c) {else_branch = graph "else" {
    capture %x: f32[batch, 3, floordiv(h + 1, 2)]
    %r = Neg(%x)
    output %r
  } (%x), then_branch = graph "then" {
    const %k: f32[] = x0000803f
    output %k
  } ()}
  output %y, %z
}
"#;

#[test]
fn a_graph_crosses_and_comes_back_the_same() {
    let graph = text::parse(EVERYTHING).unwrap();
    let exported = GraphExport::new(graph, 28);
    // SAFETY: the export is alive.
    let back = unsafe { import_graph(&*exported.as_ptr()) }.unwrap();
    drop(exported);
    assert_eq!(text::print(&back), EVERYTHING, "constants outlive the export by their references");
}

#[test]
fn values_cross_without_copies() {
    let tensor = Tensor::from_vec([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]).unwrap();
    let turned = tensor.permute(&[1, 0]).unwrap();
    let nested = Val::sequence(vec![
        tensor.into(),
        Val::Optional(Some(Val::from(Tensor::from_strings([1], vec!["a".into()]).unwrap()).into())),
        Val::Optional(None),
        turned.into(),
    ]);
    let mut value = export(&nested);
    // As if it came from another library: the shortcut for our own values does not apply.
    value.retain = Some(retain_other);
    value.release = Some(release_other);
    // SAFETY: the value is alive; its reference is given up here.
    let back = unsafe { import_owned(&value) }.unwrap();
    assert_eq!(back, nested);
    let address = |val: &Val| val.items().unwrap()[0].tensor().unwrap().bytes().unwrap().as_ptr();
    assert_eq!(address(&back), address(&nested));
}

#[test]
fn results_may_be_written_to_where_nobody_else_has_them() {
    let received = |val: Val| {
        let mut value = export_result(val);
        value.retain = Some(retain_other);
        value.release = Some(release_other);
        // SAFETY: the value is alive; its reference is given up here.
        unsafe { import_owned(&value) }.unwrap().tensor().unwrap().clone()
    };
    let mut first = Tensor::zeros(DType::I64, [2]).unwrap();
    first.as_mut_slice::<i64>().unwrap().copy_from_slice(&[1, 2]);
    let mut alone = received(first.into());
    alone.as_mut_slice::<i64>().unwrap()[1] = 3;
    assert_eq!(alone.as_slice::<i64>().unwrap(), &[1, 3]);
    let kept = Tensor::zeros(DType::I64, [2]).unwrap();
    assert_eq!(received(kept.clone().into()).as_mut_slice::<i64>(), None);
    let mut again = received(kept.into());
    let second = again.clone();
    assert_eq!(again.as_mut_slice::<i64>(), None);
    drop(second);
    assert!(again.as_mut_slice::<i64>().is_some());
}

unsafe extern "C" fn retain_other(owner: *mut c_void) {
    // SAFETY: handed on.
    unsafe { crate::value::retain(owner) };
}

unsafe extern "C" fn release_other(owner: *mut c_void) {
    // SAFETY: handed on.
    unsafe { crate::value::release(owner) };
}

#[test]
fn a_value_that_goes_to_and_fro_stays_itself() {
    let mut val = Val::from(Tensor::vector(vec![1i64, 2]));
    let address = val.tensor().unwrap().bytes().unwrap().as_ptr();
    for _ in 0..1000 {
        // SAFETY: the value is alive; its reference is given up here.
        val = unsafe { import_owned(&export(&val)) }.unwrap();
    }
    assert_eq!(val.tensor().unwrap().bytes().unwrap().as_ptr(), address);
}

#[test]
fn failures_cross_whole() {
    let failures = [
        Failure::Invalid("a".into()),
        Failure::Unsupported { node: Some(3), text: "b".into() },
        Failure::OutOfMemory { needed: 10, free: 2, text: "c".into() },
        Failure::DeviceLost("d".into()),
        Failure::Cancelled,
        Failure::Internal("e".into()),
    ];
    for failure in failures {
        // SAFETY: a fresh status.
        assert_eq!(unsafe { failure_of(status_of(&failure)) }, Some(failure));
    }
    let error = OpError::from(Failure::OutOfMemory { needed: 10, free: 2, text: "weights".into() });
    assert_eq!(error.to_string(), "out of memory: weights (needed 10 bytes, 2 free)");
}
