"""Runs a model with ONNX Runtime for `remuda bench --vs onnxruntime`.

Arguments: the model, the number of threads, and a JSON object of input names and `.npy` files. Each answer is a line
of JSON: first the version, or why there is none; then, for each line with a number that comes in, the seconds of as
many runs after one that is not counted.
"""

import json
import sys
import time


def main():
    try:
        import numpy
        import onnxruntime
    except ImportError as error:
        say({"missing": str(error)})
        return
    try:
        run = prepare(numpy, onnxruntime)
        run()
    except Exception as error:  # noqa: BLE001
        say({"error": str(error)})
        return
    say({"version": onnxruntime.__version__})
    for line in sys.stdin:
        run()
        say({"seconds": [seconds(run) for _ in range(int(line))]})


def prepare(numpy, onnxruntime):
    model, threads, inputs = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    arrays = {name: numpy.load(path) for name, path in json.loads(inputs).items()}
    return lambda: session.run(None, arrays)


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def say(answer):
    print(json.dumps(answer), flush=True)


try:
    main()
except KeyboardInterrupt:
    pass
