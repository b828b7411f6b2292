"""Runs a language model with llama.cpp for `remuda bench --vs llama.cpp`.

Arguments: the model, the number of threads, and whether weights are repacked (`on` or `off`). Each answer is a line of
JSON: first the version, or why there is none; then, for each line `PROMPT GENERATED SEQUENCES DEPTH` that comes in, the
seconds that it takes to read as many tokens of each sequence together and to generate as many for each, one by one.
"""

import json
import os
import random
import sys
import time

STEP = 512


def main():
    try:
        import llama_cpp
    except ImportError as error:
        say({"missing": str(error)})
        return
    try:
        peer = Peer(llama_cpp.llama_cpp)
        peer.measure(1, 1, 1, 0)
    except Exception as error:  # noqa: BLE001
        say({"error": str(error)})
        return
    say({"version": llama_cpp.__version__, "system": peer.system()})
    for line in sys.stdin:
        say({"seconds": [peer.measure(*map(int, line.split()))]})


class Peer:
    def __init__(self, api):
        model, threads, repack = sys.argv[1:]
        self.api = api
        self.quiet = api.llama_log_callback(lambda *_: None)
        api.llama_log_set(self.quiet, None)
        api.llama_backend_init()
        params = api.llama_model_default_params()
        params.use_extra_bufts = repack == "on"
        self.model = api.llama_model_load_from_file(os.fsencode(model), params)
        if not self.model:
            raise RuntimeError("it does not load the model")
        self.vocabulary = api.llama_vocab_n_tokens(
            api.llama_model_get_vocab(self.model)
        )
        self.threads = int(threads)
        self.context = None
        self.room = (0, 0)

    def system(self):
        return self.api.llama_print_system_info().decode()

    def prepare(self, positions, sequences):
        """A context that has room for as much, empty."""
        api = self.api
        if self.room[0] < positions or self.room[1] != sequences:
            if self.context:
                api.llama_free(self.context)
            params = api.llama_context_default_params()
            params.n_ctx = positions * sequences
            params.n_batch = 2048
            params.n_ubatch = STEP
            params.n_seq_max = sequences
            params.n_threads = params.n_threads_batch = self.threads
            self.context = api.llama_init_from_model(self.model, params)
            if not self.context:
                raise RuntimeError("it makes no context")
            self.room = (positions, sequences)
        api.llama_memory_clear(api.llama_get_memory(self.context), True)

    def measure(self, prompt, generated, sequences, depth):
        self.prepare(prompt + generated + depth, sequences)
        self.read(range(depth), sequences)
        start = time.perf_counter()
        self.read(range(depth, depth + prompt), sequences)
        for position in range(depth + prompt, depth + prompt + generated):
            self.read([position], sequences)
        return time.perf_counter() - start

    def read(self, positions, sequences):
        """Random tokens at these positions of every sequence, in steps."""
        api = self.api
        places = [(at, sequence) for sequence in range(sequences) for at in positions]
        for start in range(0, len(places), STEP):
            step = places[start : start + STEP]
            batch = api.llama_batch_init(len(step), 0, 1)
            batch.n_tokens = len(step)
            for index, (position, sequence) in enumerate(step):
                batch.token[index] = random.randrange(self.vocabulary)
                batch.pos[index] = position
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = sequence
                batch.logits[index] = position == positions[-1]
            code = api.llama_decode(self.context, batch)
            api.llama_synchronize(self.context)
            api.llama_batch_free(batch)
            if code != 0:
                raise RuntimeError(f"a step ended with code {code}")


def say(answer):
    print(json.dumps(answer), flush=True)


try:
    main()
except KeyboardInterrupt:
    pass
