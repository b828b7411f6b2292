//! No command: what to type first.

/// Prints the commands to start with.
pub(super) fn run() {
    outln!(
        "remuda {}: one inference runtime for any hardware

  remuda run digits             run the model inside this program: it reads a handwritten digit
  remuda run model.onnx -i x=@x.npy
                                run your model
  remuda doctor                 what this machine can do

`remuda --help` lists all commands.",
        env!("CARGO_PKG_VERSION")
    );
}
