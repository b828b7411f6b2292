//! Streams: the example in C with buffers, and with streams in which nothing is done before it must be.

use remuda_conform::Outcome;

use crate::{example, failed, folder, outcome, report, with};

/// What makes streams out of those of the example.
const STREAMS: [(&str, &str); 2] = [
    (
        "static remuda_status synchronize(remuda_instance *instance, uint32_t device, remuda_stream *stream) { return OK; }\n",
        include_str!("streams.c"),
    ),
    (
        "memory_info = memory_info}",
        "memory_info = memory_info, .allocate = allocate, .free_buffer = free_buffer, .upload = upload,
        .download = download, .create_stream = create_stream, .free_stream = free_stream,
        .record_event = record_event, .wait_event = wait_event, .free_event = free_event}",
    ),
];

#[test]
fn streams_that_put_everything_off_conform() {
    let kit = example(&folder("streams"), "streams", &STREAMS);
    // Its runs do not look at buffers, which is what makes its cases of that kind fail.
    let report =
        report(&with(kit, &[], &["streams/*", "memory/round-trip", "memory/out-of-range"]));
    let streams = ["order", "events", "runs", "null-handles"].map(|case| format!("streams/{case}"));
    let memory = ["round-trip", "out-of-range"].map(|case| format!("memory/{case}"));
    for case in streams.iter().chain(&memory) {
        assert_eq!(outcome(&report, case), Outcome::Passed, "{case}");
    }
}

#[test]
fn buffers_that_runs_do_not_look_at_are_found() {
    // Its runs know host memory alone.
    let kit = example(&folder("places"), "places", &STREAMS);
    let report = report(&with(kit, &[], &["places/*"]));
    for case in ["inputs", "outputs", "too-small"] {
        let outcome = outcome(&report, &format!("places/{case}"));
        assert!(matches!(outcome, Outcome::Failed(_)), "{case}: {outcome:?}");
    }
}

#[test]
fn lies_about_streams_are_found() {
    let lies = [
        (
            (
                "    return put(stream, job);\n}\n\nstatic void free_event",
                "    return OK;\n}\n\nstatic void free_event",
            ),
            "streams/events",
            "does not wait for an event",
        ),
        (
            ("        return put(stream, job);", "        return job.up ? put(stream, job) : OK;"),
            "streams/order",
            "not done in their order",
        ),
        (
            (
                "return stream == NULL || out == NULL ? WRONG_CALL : NO_MEMORY;\n    event->",
                "return OK;\n    event->",
            ),
            "streams/null-handles",
            "`record_event` of a null stream succeeds",
        ),
    ];
    let folder = folder("streams-lies");
    for (at, (lie, case, words)) in lies.into_iter().enumerate() {
        let changes = [STREAMS[0], STREAMS[1], lie];
        let kit = with(example(&folder, &format!("lie{at}"), &changes), &[], &[case]);
        let found = failed(&report(&kit));
        assert!(found.iter().any(|told| told.contains(words)), "{case}: {found:?}");
    }
}
