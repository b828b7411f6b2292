"""The parts of `backend_suite.py`: ONNX's own backend test suite, run case by case in fenced processes.

`collect` asks the installed `onnx` package for its cases, `engines` adapts the runtime under test,
`verdict` names what happened to a case, `pool` survives the cases that crash or hang, and `report`
prints and writes the tables.
"""
