//! No command: what to type first.

/// Prints the commands to start with.
pub(super) fn run() {
    outln!(
        "remuda {}: one inference runtime for any hardware

  remuda run demo \"What is a river?\"
                                ask the toy language model inside this program
  remuda run digits             run the ONNX model inside it, which reads a handwritten digit
  remuda run model.onnx -i x=@x.npy
                                run your model
  remuda doctor                 what this machine can do

`remuda --help` lists all commands.",
        env!("CARGO_PKG_VERSION")
    );
}
