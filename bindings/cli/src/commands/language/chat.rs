//! A chat at a terminal: lines to the model, `/commands` to the program.
//!
//! The conversation is sent whole each time; the engine computes only what is new of it. A model that knows
//! no conversations is asked with one message after the other.

use std::io::BufRead;

use remuda::text::Chat;
use remuda::{Answer, Ask, Finish, LanguageModel, SETTINGS, Setting};
use serde_json::Value;

use super::answer::{print, timings};
use super::{LanguageArgs, Told, first_line, message};
use crate::cancel;
use crate::failure::Failure;

const HELP: &str = "\
/set parameter NAME NUMBER   how tokens are chosen: /show parameters lists them
/set system TEXT             what the model is told before the conversation
/show info | parameters | system | template
/clear                       forget the conversation
/bye                         leave (or Ctrl-D)
\"\"\"                          start and end a text of several lines
Ctrl-C                       stop the answer";

/// What a line wants.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Nothing,
    Leave,
    Say(String),
}

struct Session<'a> {
    model: &'a LanguageModel,
    ask: Ask,
    system: Option<String>,
    messages: Vec<Value>,
    verbose: bool,
    failed: Told,
}

/// Chats until the user leaves.
pub(super) fn run(model: &LanguageModel, args: &LanguageArgs, ask: Ask) -> Result<(), Failure> {
    let system = args.system.clone();
    let failed = Told::default();
    let (messages, verbose) = (Vec::new(), args.verbose);
    let mut session = Session { model, ask, system, messages, verbose, failed };
    noteln!("a message, or /? for help");
    let mut input = std::io::stdin().lock();
    loop {
        cancel::clear();
        match session.read(&mut input)? {
            Line::Nothing => {}
            Line::Leave => return Ok(()),
            Line::Say(text) => session.say(&text)?,
        }
    }
}

fn line(input: &mut impl BufRead, mark: &str) -> Result<Option<String>, Failure> {
    let told = |source| Failure::File { action: "read", path: "standard input".into(), source };
    note!("{mark}");
    let mut text = String::new();
    let read = input.read_line(&mut text).map_err(told)?;
    Ok((read > 0).then(|| text.trim_end_matches(['\n', '\r']).to_owned()))
}

impl Session<'_> {
    /// Reads a message, or does what a command says.
    fn read(&mut self, input: &mut impl BufRead) -> Result<Line, Failure> {
        let Some(text) = line(input, ">>> ")? else { return Ok(Line::Leave) };
        if let Some(start) = text.strip_prefix("\"\"\"") {
            return Ok(Line::Say(several(start, input)?));
        }
        if text.trim().is_empty() {
            return Ok(Line::Nothing);
        }
        match text.strip_prefix('/') {
            Some(command) => Ok(self.command(command)),
            None => Ok(Line::Say(text)),
        }
    }

    fn command(&mut self, command: &str) -> Line {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        match word {
            "bye" | "exit" | "quit" => return Line::Leave,
            "clear" => self.messages.clear(),
            "?" | "help" => noteln!("{HELP}"),
            "set" => noteln!("{}", self.set(rest.trim())),
            "show" => noteln!("{}", self.show(rest.trim())),
            _ => noteln!("there is no command `/{word}`; /? lists them"),
        }
        Line::Nothing
    }

    fn set(&mut self, what: &str) -> String {
        let (kind, rest) = what.split_once(' ').unwrap_or((what, ""));
        match kind {
            "system" if self.model.reads_prompts_apart() => {
                "this model knows no conversation, and no system message".to_owned()
            }
            "system" => {
                self.system = Some(rest.trim().to_owned()).filter(|text| !text.is_empty());
                "the system message is set".to_owned()
            }
            "parameter" => match rest.trim().split_once(' ') {
                Some((name, value)) => self.set_parameter(name, value.trim()),
                None => "expected /set parameter NAME NUMBER".to_owned(),
            },
            _ => "expected /set parameter NAME NUMBER, or /set system TEXT".to_owned(),
        }
    }

    fn set_parameter(&mut self, name: &str, value: &str) -> String {
        if name == "seed" {
            return match value.parse() {
                Ok(seed) => {
                    self.ask.sampling.seed = seed;
                    format!("seed is {seed}")
                }
                Err(_) => format!("`seed`: expected a whole number, got `{value}`"),
            };
        }
        let Ok(number) = value.parse() else {
            return format!("`{name}`: expected a number, got `{value}`");
        };
        match self.ask.sampling.set(name, number) {
            Ok(()) => format!("{name} is {number}"),
            Err(error) => error.to_string(),
        }
    }

    fn show(&self, what: &str) -> String {
        match what {
            "info" => first_line(self.model),
            "system" => self.system.clone().unwrap_or_else(|| "there is none".to_owned()),
            "template" => match self.model.template() {
                Ok(Some(template)) => template.source().to_owned(),
                Ok(None) => "there is none: ChatML is used".to_owned(),
                Err(error) => error.to_string(),
            },
            "parameters" => {
                let row = |setting: &Setting| {
                    let name = setting.names.first().copied().unwrap_or_default();
                    #[expect(clippy::cast_possible_truncation, reason = "it is single precision")]
                    let value = (setting.get)(&self.ask.sampling) as f32;
                    format!("{name:20} {value:<10} {}", setting.about)
                };
                SETTINGS.iter().map(row).collect::<Vec<_>>().join("\n")
            }
            _ => "expected /show info, parameters, system or template".to_owned(),
        }
    }

    /// Asks with all that was said.
    fn ask(&self, text: &str) -> Result<Answer, remuda::Error> {
        if self.model.reads_prompts_apart() {
            return self.model.answer(text, &self.ask);
        }
        let system = self.system.as_ref().map(|text| message("system", text));
        let messages: Vec<Value> = system.into_iter().chain(self.messages.clone()).collect();
        self.model.chat(&Chat::new(messages.into()), &self.ask)
    }

    /// Says something and prints the answer; both become part of the conversation.
    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.messages.push(message("user", text));
        let answered = self.ask(text);
        let printed = answered.map_err(Failure::from).and_then(print);
        self.failed.tell(self.model);
        match printed {
            Ok((answer, outcome)) => {
                self.messages.push(message("assistant", &answer));
                if outcome.finish == Finish::Length {
                    noteln!("(cut off: -n, or the end of the context; /clear starts anew)");
                }
                if self.verbose {
                    noteln!("{}", timings(&outcome));
                }
            }
            // What cannot be answered is no part of the conversation.
            Err(Failure::Runtime(error)) => {
                self.messages.pop();
                Failure::Runtime(error).print();
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }
}

/// A text of several lines, up to `"""`.
fn several(start: &str, input: &mut impl BufRead) -> Result<String, Failure> {
    let mut text = start.to_owned();
    while !text.ends_with("\"\"\"") {
        let Some(next) = line(input, "... ")? else { return Ok(text) };
        text.push('\n');
        text.push_str(&next);
    }
    text.truncate(text.len() - 3);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::several;

    #[test]
    fn texts_of_several_lines_end_at_their_mark() {
        let read = |start: &str, rest: &str| several(start, &mut rest.as_bytes()).unwrap();
        assert_eq!(read("one\"\"\"", ""), "one");
        assert_eq!(read("one", "two\nthree\"\"\"\nfour"), "one\ntwo\nthree");
        assert_eq!(read("", "two"), "\ntwo");
    }
}
