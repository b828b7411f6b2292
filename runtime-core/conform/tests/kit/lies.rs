//! Providers that break the contract in one way: the example in C with a piece of its source replaced,
//! and the fake with its faults. Each must fail in the case that is about this way.

use std::time::Duration;

use crate::{built_in, example, failed, folder, report, with};

/// What is replaced by what or set to what, the case that must fail, and a part of what it must say.
type Lie = (&'static [(&'static str, &'static str)], &'static str, &'static str);

/// What is replaced by what, the case that must fail, and a part of what it must say.
#[rustfmt::skip]
const LIES: &[Lie] = &[
    // the table
    (&[("return host_abi_major == REMUDA_ABI_MAJOR ? &table : NULL;", "return &table;")], "abi/entry", "it gives a table to a host of contract version 0"),
    (&[(".name = REMUDA_TEXT(\"example-c\")", ".name = REMUDA_TEXT(\"\")")], "abi/texts", "its name is ``"),
    (&[("memory_info = memory_info}", "memory_info = memory_info, .allocate = (void *)score}")], "abi/function-groups", "it offers `allocate` without `free_buffer`"),
    (&[("|| out == NULL || count > 0)", "|| out == NULL)")], "abi/unknown-option", "it opens with the option `no-such-option`"),
    (&[("if (host == NULL || out == NULL || count > 0)", "if (count > 0)")], "abi/null-instance", "the process crashed: signal 11"),
    (&[("graph != NULL && i < graph->node_count", "i < graph->node_count")], "abi/null-pointers", "the process crashed: signal 11"),
    (&[("return out == NULL ? WRONG_CALL :", "return out == NULL ? OK :")], "abi/null-pointers", "`memory_info` with a null `out` succeeds"),
    (&[("    if (program != NULL)\n", "")], "abi/null-pointers", "the process crashed: signal 11"),
    (&[("out->total_bytes = out->free_bytes = 0", "memset(out, 0, out->struct_size)")], "abi/larger-structs", "it wrote behind a struct of the host"),
    (&[("type->dtype != REMUDA_DTYPE_F32 ||", "")], "abi/unknown-numbers", "it takes a graph with an element type that is none of the contract"),
    (&[("if (!program || !args || args->input_count != program->input_count ||", "if (!program || !args ||")], "abi/wrong-count", ""),
    (&[("        data[program->ends[i]] = value->data;", "        data[program->ends[i]] = value->data; if (value->retain) value->retain(value->owner);")], "abi/references", "it took 6 references to its inputs and gave up 0"),
    (&[("        data[program->ends[i]] = value->data;", "        data[program->ends[i]] = value->data; if (value->release) value->release(value->owner);")], "abi/references", ""),
    (&[("static void free_program(remuda_program *program)\n{", "static int64_t *last;\nstatic void free_program(remuda_program *program)\n{\n    if (last) memset(last, 0x41, 96);"), (".owner = block, .release = free}", ".owner = NULL, .release = NULL}"), ("*place = made;", "*place = made, last = block;")], "abi/outputs-outlive-programs", ""),
    // what it says
    (&[(".name = REMUDA_TEXT(\"one core, plain C\")", ".name = REMUDA_TEXT(\"\")")], "query/devices", "device 0 has no kind or no name"),
    (&[("return emit(context, &info), OK;", "return emit(context, &info), emit(context, &info), OK;")], "query/devices", "two devices have the number 0"),
    (&[("if (node->domain.len > 0 || (wanted == 2 && !is(node->op, \"Add\") && !is(node->op, \"Mul\")))", "if (0)"), ("size_t wanted = is(node->op, \"Relu\") ? 1 : 2;", "size_t wanted = node->input_count;")], "query/made-up-operator", "which does not exist"),
    (&[(".code = remuda_text(no ? no : \"\")", ".code = remuda_text(\"\")")], "query/made-up-operator", "it says no without a reason"),
    (&[("graph != NULL && i < graph->node_count", "graph != NULL && i < graph->node_count && i < 2")], "query/every-node", "it does not answer for node 2 of 3"),
    (&[(".code = remuda_text(no ? no : \"\")", ".cost = {.source = 3, .nanoseconds = -5}, .code = remuda_text(no ? no : \"\")")], "query/costs", "its cost is -5 ns of source 3"),
    (&[("const char *no = read_node(graph, &graph->nodes[i], &step);", "static int turn; const char *no = graph->node_count == 3 && turn++ % 2 ? \"mood\" : read_node(graph, &graph->nodes[i], &step);")], "query/repeated", "asked twice, it gave two answers"),
    // what it computes
    (&[("to[at] = step->op == 'A' ? left[at] + right[at]", "to[at] = step->op == 'A' ? left[at] + right[at] * 1.001f")], "ops/Add/11", "output 0: element 0 expected"),
    (&[("at < program->slots[step->output].count; at++)", "at + 1 < program->slots[step->output].count; at++)")], "runs/chain", ""),
    (&[(": left[at] < 0 ? 0 : left[at];", ": left[at];")], "ops/Relu/*", "expected 0"),
    (&[("return same(&left, &right) && same(&left, &output) ? NULL : \"broadcast\";", "return NULL;")], "ops/Add/*", "output 0: element 1 expected"),
    (&[("    *out = program;\n    return OK;", "    return free_program(program), remuda_status_of(REMUDA_UNSUPPORTED, \"not today\");")], "ops/Add/*", "and does not compile it: not today"),
    (&[("const float *left = data[step->left],", "((float *)data[step->left])[0] += 0; ((float *)data[step->left])[0] *= 2; const float *left = data[step->left],")], "ops/Mul/*", ""),
    (&[("(place->bytes = bytes, memcpy", "(place->bytes = bytes, memset((char *)place->data + bytes, 0, 8), memcpy")], "ops/Mul/*", "it wrote outside the place of output 0"),
    (&[("return place->bytes >= bytes && (place->bytes", "return (place->bytes")], "failures/small-place", "it wrote behind a place that is too small"),
    (&[("value->dtype != REMUDA_DTYPE_F32 ||", "")], "failures/wrong-type", "compiled for f32[4, 4], it runs over i32[4, 4] and is wrong"),
    // how it behaves
    (&[("float *made = malloc(program->made * sizeof *made + 1);", "static float made[1 << 20];"), ("return free(data), free(made), status;", "return free(data), status;"), ("const float *left = data[step->left],", "sched_yield(); const float *left = data[step->left],"), ("#include <stdlib.h>", "#include <sched.h>\n#include <stdlib.h>")], "threads/one-program", "in one of 4 threads"),
    (&[("return free(data), free(made), status;", "return free(data), status;")], "leaks/runs", "left"),
    (&[("free(program->slots), free(program->steps), free(program->ends), free(program);", "fopen(\"/dev/null\", \"r\");"), ("#include <stdlib.h>", "#include <stdio.h>\n#include <stdlib.h>")], "leaks/programs", "open files behind"),
];

#[test]
fn every_lie_is_found_by_name() {
    let folder = folder("lies");
    let mut wrong = Vec::new();
    for (at, (changes, case, words)) in LIES.iter().enumerate() {
        let kit = with(example(&folder, &format!("lie{at}"), changes), &[], &[case]);
        let report = report(&kit);
        let start = case.trim_end_matches('*');
        let found =
            failed(&report).iter().any(|told| told.starts_with(start) && told.contains(words));
        if !found || report.conforms() {
            wrong.push(format!("{changes:?} in {case}: {words}\n  got: {:?}", failed(&report)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_hanging_case_is_one_failed_case() {
    let change = (
        "const float *left = data[step->left],",
        "while (step->op == 'R') {} const float *left = data[step->left],",
    );
    let kit = with(example(&folder("hang"), "hang", &[change]), &[], &["ops/Relu/1", "ops/Mul/10"]);
    let report = report(&crate::Kit { deadline: Duration::from_secs(4), ..kit });
    let failed = failed(&report);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0], "ops/Relu/1: it did not end within 4 s");
}

#[test]
fn the_faults_of_the_fake_are_found() {
    let cases: &[Lie] = &[
        (&[("ops", "Add"), ("claims", "all")], "ops/Mul/*", "and does not compile it"),
        (&[("fail", "count@1")], "ops/Add/*", "it made 0 outputs of 1"),
        (&[("fail", "type@1")], "ops/Add/*", "expected f32"),
        (&[("fail", "panic@1")], "ops/Add/*", "it panicked: as configured"),
        (&[("fail", "error@2")], "runs/chain", "as configured"),
        (&[("fail", "lost@1")], "ops/Add/*", "the device is lost"),
        (&[("fail", "refuse@1")], "ops/Add/*", "the region is refused, as configured"),
        (&[("fail", "oom@2")], "runs/chain", "out of memory"),
    ];
    for (options, case, words) in cases {
        let failed = failed(&report(&with(built_in("fake"), options, &[case])));
        assert!(failed.iter().any(|told| told.contains(words)), "{options:?}: {failed:?}");
    }
}

#[test]
fn a_provider_that_computes_nothing_does_not_conform() {
    let report = report(&with(built_in("null"), &[], &["ops/*", "query/made-up-operator"]));
    assert!(!report.conforms());
    assert!(report.total().failed > 500, "{:?}", report.total());
}
