//! Parses the text form. Total: any text gives a graph or an error with its line.

use remuda_tensor::{DType, Dim, Tensor, TensorType, parse_dim};

use super::lexer::{Lexer, Token};
use crate::{Attr, Attrs, Body, Def, Graph, Node, OpName, StateType, ValueId, ValueType};

/// Why a text is no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected, and got.
    pub expected: String,
}

/// Reads one graph.
///
/// # Errors
/// The first place that is not what the text form says.
pub fn parse(text: &str) -> Result<Graph, ParseError> {
    let mut parser = Parser { text, lexer: Lexer::new(text), peeked: None, depth: 0 };
    let graph = parser.keyword("graph").and_then(|()| parser.graph(None)).and_then(|graph| {
        match parser.next()? {
            Token::End => Ok(graph),
            other => Err(format!("the end, got {other:?}")),
        }
    });
    graph.map_err(|expected| {
        let position = parser.lexer.position().min(text.len());
        let line = text.as_bytes().iter().take(position).filter(|&&byte| byte == b'\n').count() + 1;
        ParseError { line, expected }
    })
}

/// Nesting of bodies and types that no real graph reaches.
const MAX_DEPTH: usize = 64;

type Parsed<T> = Result<T, String>;

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    peeked: Option<Token>,
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Parsed<Token> {
        self.peeked.take().map_or_else(|| self.lexer.next(), Ok)
    }

    fn peek(&mut self) -> Parsed<&Token> {
        if self.peeked.is_none() {
            self.peeked = Some(self.lexer.next()?);
        }
        Ok(self.peeked.as_ref().unwrap_or(&Token::End))
    }

    fn eat(&mut self, mark: char) -> Parsed<bool> {
        let found = *self.peek()? == Token::Mark(mark);
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: char) -> Parsed<()> {
        match self.next()? {
            Token::Mark(got) if got == mark => Ok(()),
            other => Err(format!("`{mark}`, got {other:?}")),
        }
    }

    fn keyword(&mut self, word: &str) -> Parsed<()> {
        match self.next()? {
            Token::Word(got) if got == word => Ok(()),
            other => Err(format!("`{word}`, got {other:?}")),
        }
    }

    fn word(&mut self) -> Parsed<String> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("a word, got {other:?}")),
        }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.next()? {
            Token::Word(name) | Token::Text(name) => Ok(name),
            other => Err(format!("a name, got {other:?}")),
        }
    }

    fn quoted(&mut self) -> Parsed<String> {
        match self.next()? {
            Token::Text(text) => Ok(text),
            other => Err(format!("a quoted text, got {other:?}")),
        }
    }

    fn reference(&mut self) -> Parsed<String> {
        match self.next()? {
            Token::Ref(name) => Ok(name),
            other => Err(format!("a value like `%x`, got {other:?}")),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("at most {MAX_DEPTH} levels of nesting"));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn graph(&mut self, outer: Option<&Graph>) -> Parsed<Graph> {
        let mut graph = Graph::new(&self.quoted()?);
        self.expect('{')?;
        while !self.eat('}')? {
            self.statement(&mut graph, outer)?;
        }
        Ok(graph)
    }

    fn statement(&mut self, graph: &mut Graph, outer: Option<&Graph>) -> Parsed<()> {
        let Token::Word(word) = self.peek()?.clone() else { return self.node(graph) };
        if word == "_" {
            return self.node(graph);
        }
        self.peeked = None;
        match word.as_str() {
            "input" | "capture" | "state" => {
                let name = self.fresh_name(graph)?;
                let ty = if self.eat(':')? { Some(self.value_type()?) } else { None };
                match word.as_str() {
                    "input" => graph.add_input(&name, ty),
                    "capture" if outer.is_some() => graph.add_capture(&name, ty),
                    "capture" => return Err("no captures in the outermost graph".into()),
                    _ => graph.add_value(&name, ty, Def::State),
                };
                Ok(())
            }
            "const" => {
                let name = self.fresh_name(graph)?;
                self.expect(':')?;
                let tensor = self.tensor()?;
                graph.add_const(&name, tensor);
                Ok(())
            }
            "output" => loop {
                let output = self.known(graph)?;
                graph.outputs.push(output);
                if !self.eat(',')? {
                    return Ok(());
                }
            },
            other => Err(format!("a statement, got `{other}`")),
        }
    }

    fn fresh_name(&mut self, graph: &Graph) -> Parsed<String> {
        let name = self.reference()?;
        if graph.find_value(&name).is_some() {
            Err(format!("a new name, got `{name}` again"))
        } else {
            Ok(name)
        }
    }

    fn known(&mut self, graph: &Graph) -> Parsed<ValueId> {
        let name = self.reference()?;
        graph.find_value(&name).ok_or_else(|| format!("a value made before its use, got `%{name}`"))
    }

    /// Values in parentheses; `_` for one that is left out.
    fn operands(&mut self, graph: &Graph) -> Parsed<Vec<Option<ValueId>>> {
        self.expect('(')?;
        let mut operands = Vec::new();
        while !self.eat(')')? {
            if !operands.is_empty() {
                self.expect(',')?;
            }
            if *self.peek()? == Token::Word("_".into()) {
                self.peeked = None;
                operands.push(None);
            } else {
                operands.push(Some(self.known(graph)?));
            }
        }
        Ok(operands)
    }

    fn node(&mut self, graph: &mut Graph) -> Parsed<()> {
        let mut outputs = Vec::new();
        while !self.eat('=')? {
            if !outputs.is_empty() {
                self.expect(',')?;
            }
            if *self.peek()? == Token::Word("_".into()) {
                self.peeked = None;
                outputs.push(None);
            } else {
                let name = self.fresh_name(graph)?;
                let ty = if self.eat(':')? { Some(self.value_type()?) } else { None };
                outputs.push(Some(graph.add_value(&name, ty, Def::Nothing)));
            }
        }
        let op = self.op_name()?;
        let inputs = self.operands(graph)?;
        let mut node = Node::new(op, inputs, outputs);
        if *self.peek()? == Token::Mark('{') {
            node.attrs = self.deeper(|parser| parser.attrs(graph))?;
        }
        if self.eat('@')? {
            node.name = self.quoted()?;
        }
        graph.push(node);
        Ok(())
    }

    fn op_name(&mut self) -> Parsed<OpName> {
        let first = self.name()?;
        if !self.eat(':')? {
            return Ok(OpName::onnx(&first));
        }
        self.expect(':')?;
        Ok(OpName::new(&first, &self.name()?))
    }

    fn attrs(&mut self, graph: &Graph) -> Parsed<Attrs> {
        let mut attrs = Attrs::default();
        self.expect('{')?;
        while !self.eat('}')? {
            if !attrs.0.is_empty() {
                self.expect(',')?;
            }
            let name = self.name()?;
            self.expect('=')?;
            let attr = self.attr(graph)?;
            attrs.0.insert(name, attr);
        }
        Ok(attrs)
    }

    fn attr(&mut self, graph: &Graph) -> Parsed<Attr> {
        let word = match self.next()? {
            Token::Text(text) => return Ok(Attr::Text(text)),
            Token::Word(word) => word,
            other => return Err(format!("an attribute's value, got {other:?}")),
        };
        match word.as_str() {
            "ints" => self.list(|parser| int(&parser.word()?)).map(Attr::Ints),
            "floats" => self.list(Self::float).map(Attr::Floats),
            "texts" => self.list(Self::quoted).map(Attr::Texts),
            "type" => self.value_type().map(Attr::Type),
            "tensor" => {
                let tensor = self.tensor()?;
                self.expect(';')?;
                Ok(Attr::Tensor(tensor))
            }
            "graph" => {
                let body = self.graph(Some(graph))?;
                let captures = self.operands(graph)?;
                let captures = captures.into_iter().collect::<Option<Vec<_>>>();
                let captures = captures.ok_or("captured values, got `_`")?;
                Ok(Attr::Graph(Box::new(Body { graph: body, captures })))
            }
            "nan" => self.float_of(word).map(Attr::Float),
            number if number.ends_with('f') => self.float_of(word).map(Attr::Float),
            number => int(number).map(Attr::Int),
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect('[')?;
        let mut items = Vec::new();
        while !self.eat(']')? {
            if !items.is_empty() {
                self.expect(',')?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn float(&mut self) -> Parsed<f32> {
        let word = self.word()?;
        self.float_of(word)
    }

    fn float_of(&mut self, word: String) -> Parsed<f32> {
        if word == "nan" {
            self.expect('(')?;
            let bits = self.word()?;
            self.expect(')')?;
            return u32::from_str_radix(&bits, 16)
                .map(f32::from_bits)
                .map_err(|_| "the bits of a NaN".into());
        }
        let digits = match word.as_str() {
            "inff" | "-inff" => word.trim_end_matches('f').to_owned() + "f",
            _ => word
                .strip_suffix('f')
                .ok_or_else(|| format!("a float like `1.5f`, got `{word}`"))?
                .to_owned(),
        };
        digits.parse().map_err(|_| format!("a float like `1.5f`, got `{word}`"))
    }

    fn value_type(&mut self) -> Parsed<ValueType> {
        self.deeper(|parser| {
            let word = parser.word()?;
            match word.as_str() {
                "seq" | "optional" => {
                    parser.expect('(')?;
                    let item = Box::new(parser.value_type()?);
                    parser.expect(')')?;
                    Ok(if word == "seq" {
                        ValueType::Sequence(item)
                    } else {
                        ValueType::Optional(item)
                    })
                }
                "kv_cache" => parser.state_type().map(ValueType::State),
                name => {
                    let dtype = dtype(name)?;
                    let dims = parser.dims()?;
                    Ok(ValueType::Tensor(TensorType { dtype, dims }))
                }
            }
        })
    }

    fn state_type(&mut self) -> Parsed<StateType> {
        self.expect('(')?;
        let dtype = dtype(&self.word()?)?;
        let mut numbers = Vec::new();
        while self.eat(',')? {
            numbers.push(self.word()?.parse().map_err(|_| "a size")?);
        }
        self.expect(')')?;
        match numbers[..] {
            [heads, key_dim, value_dim] => {
                Ok(StateType { dtype, heads, key_dim, value_dim, window: None })
            }
            [heads, key_dim, value_dim, window] => {
                Ok(StateType { dtype, heads, key_dim, value_dim, window: Some(window) })
            }
            _ => Err("`kv_cache(dtype, heads, key, value)` with an optional window".into()),
        }
    }

    /// `[2, n + 1]`, or `[..]` for an unknown rank.
    fn dims(&mut self) -> Parsed<Option<Vec<Dim>>> {
        self.expect('[')?;
        let start = self.lexer.position();
        let inside = balanced(self.text.get(start..).unwrap_or(""))?;
        self.lexer.raw_skip(inside.len() + 1);
        match inside.trim() {
            ".." => Ok(None),
            "" => Ok(Some(Vec::new())),
            inside => {
                split_dims(inside).into_iter().map(parse_dim).collect::<Result<_, _>>().map(Some)
            }
        }
    }

    fn tensor(&mut self) -> Parsed<Tensor> {
        let dtype = dtype(&self.word()?)?;
        let dims = self.dims()?.ok_or("dimensions that are numbers")?;
        let dims: Vec<usize> = dims
            .iter()
            .map(Dim::as_usize)
            .collect::<Option<_>>()
            .ok_or("dimensions that are numbers")?;
        self.expect('=')?;
        if dtype == DType::String {
            let mut texts = Vec::new();
            while let Token::Text(text) = self.peek()?.clone() {
                self.peeked = None;
                texts.push(text);
            }
            return Tensor::from_strings(dims, texts).map_err(|error| error.to_string());
        }
        let word = self.word()?;
        let bytes = word.strip_prefix('x').and_then(hex).ok_or("data like `x0000803f`")?;
        Tensor::from_bytes(dtype, dims, &bytes).map_err(|error| error.to_string())
    }
}

fn dtype(name: &str) -> Parsed<DType> {
    DType::from_name(name).ok_or_else(|| format!("a dtype, got `{name}`"))
}

fn int(word: &str) -> Parsed<i64> {
    word.parse().map_err(|_| format!("a 64-bit integer, got `{word}`"))
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?)).collect()
}

/// What is in front of the `]` that closes the dimensions; quoted symbols may hold brackets.
fn balanced(text: &str) -> Parsed<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Ok(text.get(..at).unwrap_or("")),
            _ => {}
        }
    }
    Err("`]` after dimensions".into())
}

/// Splits at commas outside parentheses and quotes.
fn split_dims(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0usize, 0usize);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if depth == 0 && !quoted => {
                parts.push(text.get(start..at).unwrap_or(""));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or(""));
    parts
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::text::print;

    const EVERYTHING: &str = r#"graph "g" {
  input %x: f32[batch, 3, floordiv(h + 1, 2)]
  input %c: bool[]
  input %s: seq(f32[..])
  input %"odd name": optional(i64[2])
  state %kv: kv_cache(f16, 4, 64, 64, 512)
  const %w: f32[2] = x0000803f00000040
  const %t: string[2] = "a\"b" "ü\n"
  const %n: i4[3] = x8f07
  %y: f32[batch, 3, ?], _ = com.microsoft::Foo(%x, _, %w) {a = 1, b = 1.5f, c = "x", d = ints[1, -2], e = floats[-inff, nan(7fc00001)], f = texts["p", "q"], g = tensor f32[1] = x0000803f;, h = type seq(i64[n])} @"a node"
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
    fn printing_and_parsing_lose_nothing() {
        let graph = parse(EVERYTHING).unwrap();
        let printed = print(&graph);
        assert_eq!(printed, EVERYTHING);
        assert_eq!(print(&parse(&printed).unwrap()), printed);
    }

    #[test]
    fn errors_name_the_line_and_what_was_expected() {
        let cases = [
            (
                "graph \"g\" {\n  input %x\n  input %x\n}",
                "line 3: expected a new name, got `x` again",
            ),
            (
                "graph \"g\" {\n  %y = Neg(%x)\n}",
                "line 2: expected a value made before its use, got `%x`",
            ),
            (
                "graph \"g\" { const %w: f32[2] = x00 }",
                "line 1: expected dimensions [2] of `f32` need 8 bytes, got 1",
            ),
            ("graph \"g\" { input %x: f33[] }", "line 1: expected a dtype, got `f33`"),
            ("graph \"g", "line 1: expected a closing quote"),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("graph \"g\" {{ input %x: {}", "seq(".repeat(100_000));
        assert_eq!(
            parse(&text).unwrap_err().to_string(),
            "line 1: expected at most 64 levels of nesting"
        );
    }
}
