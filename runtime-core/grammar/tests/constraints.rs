//! Constraints let through what they describe and nothing else, over a small vocabulary.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::sync::Arc;

use proptest::prelude::*;
use remuda_gguf::{ArrayBuf, Builder, Gguf, Value, ValueType};
use remuda_grammar::{Compiler, Constraint, GrammarError, Source};
use remuda_text::Tokenizer;

/// One token per byte, some longer ones, and one that ends an answer.
fn tokenizer() -> Arc<Tokenizer> {
    let longer = ["{\"", "\":", "true", "null", "ab", "abc", "12", ", ", "\"}"];
    let mut texts: Vec<String> = (0..=255_u8).map(|byte| format!("<0x{byte:02X}>")).collect();
    let mut kinds = vec![6_i32; 256];
    texts.extend(longer.map(str::to_owned));
    kinds.extend([1; 9]);
    texts.push("</s>".to_owned());
    kinds.push(3);
    let end = u32::try_from(texts.len()).unwrap() - 1;
    let mut builder = Builder::new();
    builder.set("tokenizer.ggml.model", Value::Text("llama")).unwrap();
    let array = ArrayBuf::of_texts(texts.iter().map(String::as_str));
    builder.set("tokenizer.ggml.tokens", array.value()).unwrap();
    let mut array = ArrayBuf::new(ValueType::I32);
    kinds.iter().for_each(|&kind| array.push(Value::I32(kind)).unwrap());
    builder.set("tokenizer.ggml.token_type", array.value()).unwrap();
    builder.set("tokenizer.ggml.eos_token_id", Value::U32(end)).unwrap();
    let mut file = Vec::new();
    builder.write(&mut file, |_, _| Ok(())).unwrap();
    Arc::new(Tokenizer::from_gguf(Gguf::parse(&file).unwrap().metadata()).unwrap())
}

/// Whether a constraint lets a text through as a whole: byte by byte, and in longer tokens.
fn accepts(constraint: &Constraint, text: &str) -> bool {
    let mut steps = constraint.clone();
    for byte in text.bytes() {
        let token = u32::from(byte);
        // The mask may hold less: where text is forced, only the tokens that it is made of.
        let allowed = steps.mask().unwrap().allows(token);
        match steps.accept(token) {
            Ok(()) => {}
            Err(GrammarError::NotAllowed { .. }) => {
                assert!(!allowed, "{text:?}");
                return false;
            }
            Err(error) => {
                assert!(matches!(error, GrammarError::Limit { .. }), "{error}");
                return false;
            }
        }
    }
    steps.is_complete().unwrap()
}

fn compile(source: Source<'_>) -> Constraint {
    Compiler::new(tokenizer()).unwrap().compile(source).unwrap()
}

#[test]
fn a_schema_lets_fitting_json_through() {
    let schema = r#"{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}},
        "required": ["a"], "additionalProperties": false}"#;
    let constraint = compile(Source::JsonSchema(schema));
    for text in [r#"{"a": 12}"#, r#"{"a":-3,"b":"y"}"#, r#"{ "a" : 0 , "b" : "x" }"#] {
        assert!(accepts(&constraint, text), "{text}");
    }
    for text in [r#"{"a": "12"}"#, r#"{"b": "x"}"#, r#"{"a": 1, "c": 2}"#, "[]", r#"{"a": 1"#, ""] {
        assert!(!accepts(&constraint, text), "{text}");
    }
    assert!(accepts(&compile(Source::JsonObject), r#"{"any": [1, {"thing": null}]}"#));
}

#[test]
fn masks_hold_longer_tokens_too() {
    let tokenizer = tokenizer();
    let find = |text: &str| tokenizer.vocabulary().find(text).unwrap();
    let mut constraint = compile(Source::Regex("(abc?|true)12"));
    let mask = constraint.mask().unwrap();
    assert!(mask.allows(find("ab")) && mask.allows(find("abc")) && mask.allows(find("true")));
    assert!(!mask.allows(find("12")) && !mask.allows(find("</s>")) && !mask.allows(u32::MAX));
    constraint.accept(find("abc")).unwrap();
    assert!(constraint.accept(find("ab")).is_err());
    constraint.accept(find("12")).unwrap();
    assert!(constraint.is_complete().unwrap());
    let mask = constraint.mask().unwrap();
    assert!(mask.allows(find("</s>")) && mask.count() == 1);
    constraint.rollback(1).unwrap();
    assert!(constraint.mask().unwrap().allows(find("12")));
}

/// The tokens of a mask.
fn allowed(constraint: &mut Constraint) -> Vec<u32> {
    let mask = constraint.mask().unwrap();
    tokenizer().vocabulary().ids().filter(|&token| mask.allows(token)).collect()
}

#[test]
fn the_end_is_taken_whenever_the_mask_allows_it_and_can_be_rolled_back() {
    let end = tokenizer().vocabulary().find("</s>").unwrap();
    // The first can go on where it may end, the others cannot.
    for (pattern, goes_on) in [("ab*", true), ("a", false), ("a|b", false)] {
        let mut constraint = compile(Source::Regex(pattern));
        assert_eq!(
            constraint.accept(end).unwrap_err(),
            GrammarError::NotAllowed { kind: "regular expression", token: end }
        );
        constraint.accept(u32::from(b'a')).unwrap();
        let (before, stopped) = (allowed(&mut constraint), constraint.is_stopped());
        assert_eq!((before.contains(&end), before.len() > 1), (true, goes_on), "{pattern}");
        constraint.accept(end).unwrap();
        assert!(constraint.is_complete().unwrap() && constraint.is_stopped());
        assert_eq!((allowed(&mut constraint), constraint.forced()), (vec![end], vec![]));
        assert!(constraint.accept(u32::from(b'b')).is_err());
        constraint.accept(end).unwrap();
        constraint.rollback(2).unwrap();
        assert_eq!((allowed(&mut constraint), constraint.is_stopped()), (before, stopped));
        assert_eq!(constraint.accept(u32::from(b'b')).is_ok(), goes_on, "{pattern}");
    }
}

#[test]
fn going_back_over_the_end_goes_on_to_what_came_before() {
    let end = tokenizer().vocabulary().find("</s>").unwrap();
    let mut constraint = compile(Source::Regex("ab"));
    let start = allowed(&mut constraint);
    b"ab".iter().for_each(|&byte| constraint.accept(u32::from(byte)).unwrap());
    constraint.accept(end).unwrap();
    assert!(constraint.rollback(4).is_err());
    let mut constraint = compile(Source::Regex("ab"));
    b"ab".iter().for_each(|&byte| constraint.accept(u32::from(byte)).unwrap());
    constraint.accept(end).unwrap();
    constraint.rollback(3).unwrap();
    assert_eq!(allowed(&mut constraint), start);
}

#[test]
fn the_end_is_not_allowed_inside_of_an_answer() {
    let end = tokenizer().vocabulary().find("</s>").unwrap();
    let mut constraint = compile(Source::Lark("start: name \"!\"\nname[stop=\"\"]: /[ab]+/\n"));
    constraint.accept(u32::from(b'a')).unwrap();
    match constraint.mask() {
        Ok(mask) => assert!(!mask.allows(end)),
        Err(error) => assert!(matches!(error, GrammarError::Limit { .. }), "{error}"),
    }
    assert!(matches!(constraint.accept(end), Err(GrammarError::NotAllowed { .. })));
}

#[test]
fn gbnf_is_read_as_llama_cpp_reads_it() {
    let arithmetic = r#"
        # sums of products
        root  ::= (expr "=" ws term "\n")+
        expr  ::= term ([-+*/] term)*
        term  ::= ident | num | "(" ws expr ")" ws
        ident ::= [a-z] [a-z0-9_]* ws
        num   ::= [0-9]+ ws
        ws    ::= [ \t\n]*
    "#;
    let constraint = compile(Source::Gbnf(arithmetic));
    for text in ["x=3\n", "(a +b1) *2= c\n", "1+2=3\n4=y\n"] {
        assert!(accepts(&constraint, text), "{text:?}");
    }
    for text in ["x=3", "x==3\n", "(x=3\n", "X=1\n"] {
        assert!(!accepts(&constraint, text), "{text:?}");
    }
    let shared = compile(Source::Gbnf(
        "root ::= \"a\" \"bc\"\n  | \"ab\" \"d\" | [^a-z]{2,3} | \"\\u00e4\" . {1}",
    ));
    for text in ["abc", "abd", "12", "123", "äß"] {
        assert!(accepts(&shared, text), "{text:?}");
    }
    for text in ["ab", "abcd", "1", "1234", "ä"] {
        assert!(!accepts(&shared, text), "{text:?}");
    }
}

#[test]
fn lark_is_read() {
    let constraint =
        compile(Source::Lark("start: \"a\" NUMBER (\",\" NUMBER)*\nNUMBER: /[0-9]+/\n"));
    assert!(accepts(&constraint, "a1,22") && !accepts(&constraint, "a1,"));
}

#[test]
fn broken_sources_are_errors() {
    let compiler = Compiler::new(tokenizer()).unwrap();
    let error = |source| compiler.compile(source).unwrap_err().to_string();
    assert_eq!(
        error(Source::Gbnf("x ::= \"a\"")),
        "GBNF grammar: expected a rule `root`, got none"
    );
    assert_eq!(
        error(Source::Gbnf("root ::= itm\nitem ::= \"a\"")),
        "GBNF grammar line 1: rule `itm` is not defined; did you mean `item`?"
    );
    assert_eq!(
        error(Source::Gbnf("root ::= \"a")),
        "GBNF grammar line 1: expected the rest of a text or a class, got the end"
    );
    assert_eq!(
        error(Source::Gbnf("root ::= *")),
        "GBNF grammar line 1: a repetition needs something before it"
    );
    assert!(error(Source::JsonSchema("{")).starts_with("JSON schema line 1: EOF"));
    let nested = format!("root ::= {}\"a\"{}", "(".repeat(60_000), ")".repeat(60_000));
    assert_eq!(error(Source::Gbnf(&nested)), "GBNF grammar: expected brackets at most 100 deep");
    for source in [
        Source::Regex("("),
        Source::Lark("start: x"),
        Source::Lark("start: start"),
        Source::Gbnf("root ::= root"),
        Source::Gbnf("root ::= \"a\"{99999}"),
        Source::JsonSchema(r#"{"type": "nothing"}"#),
        Source::JsonSchema(r#"{"$ref": "https://example.org/schema"}"#),
        Source::JsonSchema(&format!("{{\"x\": \"{}\"}}", "a".repeat(1 << 19))),
    ] {
        assert!(compiler.compile(source).is_err(), "{source:?}");
    }
    assert!(matches!(compiler.compile(Source::Regex("(")), Err(GrammarError::Syntax { .. })));
}

/// Counts that multiply are either refused or followed without being written out.
#[test]
fn counts_that_multiply_cost_little() {
    let compiler = Compiler::new(tokenizer()).unwrap();
    for source in [
        Source::Regex("((a{1000}){1000}){1000}"),
        Source::Regex("((a{0,1000}){0,1000}b){0,1000}"),
        Source::Gbnf("root ::= ((\"a\"{1,5000}){1,5000}){1,5000}"),
    ] {
        if let Ok(constraint) = compiler.compile(source) {
            assert!(!accepts(&constraint, "aabx"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn regular_expressions_agree_with_the_crate_regex(
        pattern in "(a|b|ab|[abc]|\\(a\\|bc\\)[*+?]?){1,5}",
        texts in prop::collection::vec("[abc]{0,6}", 8),
    ) {
        let Ok(oracle) = regex::Regex::new(&format!("^(?:{pattern})$")) else { return Ok(()) };
        let constraint = compile(Source::Regex(&pattern));
        for text in texts {
            prop_assert_eq!(accepts(&constraint, &text), oracle.is_match(&text), "{} {}", pattern, text);
        }
    }
}
