//! Templates that loop or blow up: an error soon, and never much memory.

use remuda_chat::{Chat, ChatError, ChatTemplate};
use serde_json::json;

fn run(source: &str) -> Result<String, ChatError> {
    ChatTemplate::new(source)?.render(&Chat::new(json!([{"role": "user", "content": "a"}])))
}

#[test]
fn templates_that_blow_up_are_stopped() {
    let limited = [
        "{% set ns = namespace(x='ab') %}{% for i in range(90) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(90) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1, 2]) %}{% for i in range(90) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
        "{% for i in range(90000) %}{{ 'x' * 9000 }}{% endfor %}",
        "{% set n = 99999 %}{{ 'x' * n * n }}",
        "{% set x = 'a' * 9000 %}{{ x | replace('a', x) | replace('a', x) }}",
        "{% set x = 'a' * 9000 %}{{ x.replace('a', x).replace('a', x) }}",
        "{% set x = 'a' * 9000 %}{{ x.join(x).join(x) }}",
        "{% set x = 'a' * 9000 %}{{ x | join(x) | join(x) }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% else %}xxxxxxxx{% endif %}{% endmacro %}{{ m(40) }}",
        "{% set x %}{{ 'a' * 90000 }}{% endset %}{% for i in range(90000) %}{% if x == x ~ '' %}{% endif %}{% endfor %}",
        "{% set x = 'ä' * 90000 %}{% for i in range(90000) %}{% set y = x[1:] %}{% set z = x[5] %}{% endfor %}",
        "{% set x = ('a ' * 90000) %}{% for i in range(90000) %}{% set y = x.split() | length %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    ];
    for source in limited {
        let error = run(source).expect_err(source);
        let nested = error.to_string().contains("nested too deep");
        let constant = matches!(error, ChatError::Syntax { .. });
        let deep = error.to_string().contains("recursion limit");
        let limit = matches!(error, ChatError::Limit { .. });
        assert!(limit || nested || constant || deep, "{source}: {error}");
    }
}

#[test]
fn what_leads_out_of_the_sandbox_is_an_error() {
    let closed = [
        "{% include 'secret' %}",
        "{% import '/etc/passwd' as x %}",
        "{% extends 'x' %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].pop('role') }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ 2 ** 99 }}",
        "{{ '%9999999s' | format('x') }}",
    ];
    for source in closed {
        assert!(run(source).is_err(), "{source}");
    }
    assert!(ChatTemplate::new(&"x".repeat(2 << 20)).is_err());
    assert!(
        ChatTemplate::new(&format!("{{{{ {}1{} }}}}", "(".repeat(60_000), ")".repeat(60_000)))
            .is_err()
    );
}

#[test]
fn errors_say_where_and_what() {
    let error = ChatTemplate::new("a\n{% if %}").unwrap_err().to_string();
    assert!(error.starts_with("chat template line 2: syntax error"), "{error}");
    let error = run("{{ raise_exception('roles must alternate') }}").unwrap_err();
    assert_eq!(error, ChatError::Refused("roles must alternate".into()));
    let error = run("\n\n{{ messages[0].content.x.y }}").unwrap_err().to_string();
    assert!(error.starts_with("chat template line 3: undefined value"), "{error}");
}

#[test]
fn a_probe_says_what_a_template_does() {
    let report = ChatTemplate::chatml().unwrap().probe();
    assert!(report.system && report.history && report.generation_prompt && !report.tools);
    assert_eq!(report.findings, []);
    let report =
        ChatTemplate::new("{% for m in messages %}{{ m.role }}{% endfor %}").unwrap().probe();
    assert_eq!(report.findings[0].to_string(), "it leaves out what the user asks");
    let broken = "{% if messages|length > 1 %}{{ raise_exception('one') }}{% endif %}{{ messages[0].content }}";
    let report = ChatTemplate::new(broken).unwrap().probe();
    let expected =
        "it cannot render a second question: the chat template refuses this conversation: one";
    assert_eq!(report.findings[0].to_string(), expected);
}
