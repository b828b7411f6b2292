//! Functions of the elements of several tensors at one place, as trees that become one kernel.

use remuda_base::Map;

use super::source::Elem;

/// A function of one number. Those without a note are of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Unary {
    /// Of floats or integers, as `Abs` and `Sign`.
    Neg,
    Abs,
    Sign,
    Floor,
    Ceil,
    /// Halves go to the even neighbour.
    Round,
    Sqrt,
    Reciprocal,
    Exp,
    Log,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    Sigmoid,
    Softplus,
    Softsign,
    Mish,
    /// By the error function.
    Gelu,
    GeluByTanh,
    /// To the nearest half float, and back.
    ToHalf,
    /// To the nearest `bf16`, and back.
    ToBfloat,
    /// Gives a bool.
    IsNan,
    /// Gives a bool.
    IsInf,
    /// Of a bool.
    Not,
}

/// A function of two numbers of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    /// Integers truncate; nothing is said of division by zero.
    Div,
    /// Of floats.
    Pow,
    /// NaN wins.
    Min,
    /// NaN wins.
    Max,
    /// Gives a bool, as all comparisons; of bools too.
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Of bools.
    And,
    /// Of bools.
    Or,
    /// Of bools.
    Xor,
}

/// An expression. Parts that are written twice are computed once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Expr {
    /// The element of an input.
    Input(usize),
    /// The bits of a float.
    FloatBits(u32),
    Int(i32),
    Bool(bool),
    Unary(Unary, Box<Self>),
    Binary(Binary, Box<Self>, Box<Self>),
    /// A condition, what is taken where it holds, and where not.
    Select(Box<Self>, Box<Self>, Box<Self>),
    /// [`Elem::F32`], [`Elem::I32`] or [`Elem::Bool`].
    Cast(Elem, Box<Self>),
}

/// An expression that no kernel can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExprError {
    #[error("`{op}` expected {expected}, got `{got:?}`")]
    Types { op: String, expected: &'static str, got: Vec<Elem> },
    #[error("there is no input {0}")]
    Input(usize),
}

impl Expr {
    pub(crate) fn float(value: f32) -> Self {
        Self::FloatBits(value.to_bits())
    }

    pub(crate) fn unary(self, op: Unary) -> Self {
        Self::Unary(op, Box::new(self))
    }

    pub(crate) fn binary(self, op: Binary, other: Self) -> Self {
        Self::Binary(op, Box::new(self), Box::new(other))
    }

    pub(crate) fn cast(self, to: Elem) -> Self {
        Self::Cast(to, Box::new(self))
    }

    /// `self` is the condition.
    pub(crate) fn select(self, yes: Self, no: Self) -> Self {
        Self::Select(Box::new(self), Box::new(yes), Box::new(no))
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        self.binary(Binary::Add, other)
    }

    pub(crate) fn times(self, other: Self) -> Self {
        self.binary(Binary::Mul, other)
    }

    fn below(self, bound: f32) -> Self {
        self.binary(Binary::Less, Self::float(bound))
    }

    fn above(self, bound: f32) -> Self {
        self.binary(Binary::Greater, Self::float(bound))
    }

    /// Nothing below zero; NaN stays.
    pub(crate) fn relu(self) -> Self {
        self.clone().below(0.0).select(Self::float(0.0), self)
    }

    /// Kept between bounds, the upper one having the last word; NaN stays.
    pub(crate) fn clip(self, low: Self, high: Self) -> Self {
        let raised = self.clone().binary(Binary::Less, low.clone()).select(low, self);
        raised.clone().binary(Binary::Greater, high.clone()).select(high, raised)
    }

    /// `LeakyRelu`, and `PRelu` with a slope per element.
    pub(crate) fn leaky_relu(self, slope: Self) -> Self {
        self.clone().below(0.0).select(self.clone().times(slope), self)
    }

    fn exp_less_one(self) -> Self {
        self.unary(Unary::Exp).plus(Self::float(-1.0))
    }

    pub(crate) fn elu(self, alpha: f32) -> Self {
        let below = self.clone().exp_less_one().times(Self::float(alpha));
        self.clone().below(0.0).select(below, self)
    }

    pub(crate) fn celu(self, alpha: f32) -> Self {
        let scaled = self.clone().binary(Binary::Div, Self::float(alpha));
        let below = scaled.exp_less_one().times(Self::float(alpha));
        self.clone().below(0.0).select(below, self)
    }

    pub(crate) fn selu(self, alpha: f32, gamma: f32) -> Self {
        self.elu(alpha).times(Self::float(gamma))
    }

    pub(crate) fn hard_sigmoid(self, alpha: f32, beta: f32) -> Self {
        let line = self.times(Self::float(alpha)).plus(Self::float(beta));
        line.clip(Self::float(0.0), Self::float(1.0))
    }

    pub(crate) fn hard_swish(self) -> Self {
        self.clone().times(self.hard_sigmoid(1.0 / 6.0, 0.5))
    }

    /// `Swish` and `QuickGelu`: times the sigmoid of `alpha` times it.
    pub(crate) fn swish(self, alpha: f32) -> Self {
        let gate = if alpha.to_bits() == 1f32.to_bits() {
            self.clone()
        } else {
            self.clone().times(Self::float(alpha))
        };
        self.times(gate.unary(Unary::Sigmoid))
    }

    pub(crate) fn thresholded_relu(self, alpha: f32) -> Self {
        self.clone().above(alpha).select(self, Self::float(0.0))
    }

    pub(crate) fn shrink(self, lambda: f32, bias: f32) -> Self {
        let up = self.clone().plus(Self::float(bias));
        let down = self.clone().plus(Self::float(-bias));
        let inside = self.clone().above(lambda).select(down, Self::float(0.0));
        self.below(-lambda).select(up, inside)
    }
}

/// The statements of an expression.
#[derive(Debug, Default)]
pub(super) struct Statements {
    pub(super) text: String,
    known: Map<String, String>,
    /// What each input is called, and what it is.
    inputs: Vec<(String, Elem)>,
}

fn float_text(bits: u32) -> String {
    let value = f32::from_bits(bits);
    if value.is_finite() { format!("{value:?}f") } else { format!("float_of({bits:#x}u)") }
}

impl Statements {
    /// Of inputs by name and stored type.
    pub(super) fn of(inputs: Vec<(String, Elem)>) -> Self {
        Self { inputs, ..Self::default() }
    }

    /// Names a value.
    fn name(&mut self, value: String) -> String {
        if let Some(known) = self.known.get(&value) {
            return known.clone();
        }
        let name = format!("v{}", self.known.len());
        self.text += &format!("    let {name} = {value};\n");
        self.known.insert(value, name.clone());
        name
    }

    /// Writes an expression down: what is stored in a tensor of such elements.
    pub(super) fn write_as(&mut self, expr: &Expr, stored: Elem) -> Result<String, ExprError> {
        let (value, elem) = self.write(expr)?;
        if elem != stored {
            let got = vec![elem, stored];
            return Err(ExprError::Types { op: "output".to_owned(), expected: "one type", got });
        }
        Ok(if elem == Elem::Bool { format!("select(0u, 1u, {value})") } else { value })
    }

    /// Writes an expression down: what it is called, and its type.
    pub(super) fn write(&mut self, expr: &Expr) -> Result<(String, Elem), ExprError> {
        let (value, elem) = match expr {
            Expr::Input(at) => {
                let (name, elem) = self.inputs.get(*at).ok_or(ExprError::Input(*at))?;
                return Ok((name.clone(), elem.read_as()));
            }
            Expr::FloatBits(bits) => return Ok((float_text(*bits), Elem::F32)),
            Expr::Int(i32::MIN) => return Ok(("(-2147483647i - 1i)".to_owned(), Elem::I32)),
            Expr::Int(value) => return Ok((format!("{value}i"), Elem::I32)),
            Expr::Bool(value) => return Ok((value.to_string(), Elem::Bool)),
            Expr::Unary(op, x) => {
                let (x, elem) = self.write(x)?;
                unary_text(*op, &x, elem)?
            }
            Expr::Binary(op, a, b) => {
                let ((a, of_a), (b, of_b)) = (self.write(a)?, self.write(b)?);
                binary_text(*op, [&a, &b], [of_a, of_b])?
            }
            Expr::Select(condition, yes, no) => {
                let (condition, of_condition) = self.write(condition)?;
                let ((yes, of_yes), (no, of_no)) = (self.write(yes)?, self.write(no)?);
                if of_condition != Elem::Bool || of_yes != of_no {
                    let got = vec![of_condition, of_yes, of_no];
                    let expected = "a condition and two of one type";
                    return Err(ExprError::Types { op: "Select".to_owned(), expected, got });
                }
                (format!("select({no}, {yes}, {condition})"), of_yes)
            }
            Expr::Cast(to, x) => {
                let (x, from) = self.write(x)?;
                (cast_text(&x, from, *to)?, *to)
            }
        };
        Ok((self.name(value), elem))
    }
}

fn cast_text(x: &str, from: Elem, to: Elem) -> Result<String, ExprError> {
    Ok(match (from, to) {
        (Elem::F32, Elem::F32) | (Elem::I32, Elem::I32) | (Elem::Bool, Elem::Bool) => x.to_owned(),
        (Elem::F32, Elem::I32) => format!("whole_number({x})"),
        (Elem::F32, Elem::Bool) => format!("!({x} == 0.0)"),
        (Elem::I32, Elem::F32) => format!("f32({x})"),
        (Elem::I32, Elem::Bool) => format!("{x} != 0"),
        (Elem::Bool, Elem::F32) => format!("select(0.0f, 1.0f, {x})"),
        (Elem::Bool, Elem::I32) => format!("select(0i, 1i, {x})"),
        (_, Elem::F16 | Elem::BF16 | Elem::Q8_0) | (Elem::F16 | Elem::BF16 | Elem::Q8_0, _) => {
            let got = vec![from, to];
            return Err(ExprError::Types { op: "Cast".to_owned(), expected: "words", got });
        }
    })
}

fn unary_text(op: Unary, x: &str, elem: Elem) -> Result<(String, Elem), ExprError> {
    let wrong = |expected| ExprError::Types { op: format!("{op:?}"), expected, got: vec![elem] };
    match (op, elem) {
        (Unary::Not, Elem::Bool) => return Ok((format!("!{x}"), Elem::Bool)),
        (Unary::Neg, Elem::I32) => return Ok((format!("-({x})"), Elem::I32)),
        (Unary::Abs, Elem::I32) => return Ok((format!("abs({x})"), Elem::I32)),
        (Unary::Sign, Elem::I32) => return Ok((format!("sign({x})"), Elem::I32)),
        (Unary::IsNan, Elem::F32) => return Ok((format!("is_nan({x})"), Elem::Bool)),
        (Unary::IsInf, Elem::F32) => return Ok((format!("is_inf({x})"), Elem::Bool)),
        (Unary::Not, _) => return Err(wrong("a bool")),
        (_, Elem::F32) => {}
        _ => return Err(wrong("a float")),
    }
    let text = match float_function(op) {
        Some(function) => format!("{function}({x})"),
        None => match op {
            Unary::Reciprocal => format!("1.0 / {x}"),
            Unary::Softsign => format!("{x} / (1.0 + abs({x}))"),
            _ => format!("-({x})"),
        },
    };
    Ok((text, Elem::F32))
}

/// The function of WGSL or of the library, where it is one.
fn float_function(op: Unary) -> Option<&'static str> {
    Some(match op {
        Unary::Abs => "abs",
        Unary::Sign => "sign_of",
        Unary::Floor => "floor",
        Unary::Ceil => "ceil",
        Unary::Round => "round_of",
        Unary::Sqrt => "sqrt_of",
        Unary::Exp => "exp_of",
        Unary::Log => "log_of",
        Unary::Sin => "sin_of",
        Unary::Cos => "cos_of",
        Unary::Tan => "tan_of",
        Unary::Asin => "asin_of",
        Unary::Acos => "acos_of",
        Unary::Atan => "atan_of",
        Unary::Sinh => "sinh_of",
        Unary::Cosh => "cosh_of",
        Unary::Tanh => "tanh_of",
        Unary::Asinh => "asinh_of",
        Unary::Acosh => "acosh_of",
        Unary::Atanh => "atanh_of",
        Unary::Erf => "erf_of",
        Unary::Sigmoid => "sigmoid_of",
        Unary::Softplus => "softplus_of",
        Unary::Mish => "mish_of",
        Unary::Gelu => "gelu_of",
        Unary::GeluByTanh => "gelu_by_tanh",
        Unary::ToHalf => "rounded_to_half",
        Unary::ToBfloat => "rounded_to_bfloat",
        Unary::Neg
        | Unary::Reciprocal
        | Unary::Softsign
        | Unary::IsNan
        | Unary::IsInf
        | Unary::Not => return None,
    })
}

fn binary_text(op: Binary, x: [&str; 2], of: [Elem; 2]) -> Result<(String, Elem), ExprError> {
    let [a, b] = x;
    let wrong = |expected| ExprError::Types { op: format!("{op:?}"), expected, got: of.to_vec() };
    let elem = if of[0] == of[1] { of[0] } else { return Err(wrong("two of one type")) };
    let infix = |sign: &str| format!("{a} {sign} {b}");
    let is_float = elem == Elem::F32;
    let text = match (op, elem) {
        (Binary::Equal, _) => return Ok((infix("=="), Elem::Bool)),
        (Binary::And, Elem::Bool) => infix("&&"),
        (Binary::Or, Elem::Bool) => infix("||"),
        (Binary::Xor, Elem::Bool) => infix("!="),
        (_, Elem::Bool) => return Err(wrong("numbers")),
        (Binary::And | Binary::Or | Binary::Xor, _) => return Err(wrong("bools")),
        (Binary::Less, _) => return Ok((infix("<"), Elem::Bool)),
        (Binary::LessOrEqual, _) => return Ok((infix("<="), Elem::Bool)),
        (Binary::Greater, _) => return Ok((infix(">"), Elem::Bool)),
        (Binary::GreaterOrEqual, _) => return Ok((infix(">="), Elem::Bool)),
        (Binary::Add, _) => infix("+"),
        (Binary::Sub, _) => infix("-"),
        (Binary::Mul, _) => infix("*"),
        (Binary::Div, _) => infix("/"),
        (Binary::Min, _) => format!("{}({a}, {b})", if is_float { "lesser" } else { "min" }),
        (Binary::Max, _) => format!("{}({a}, {b})", if is_float { "greater" } else { "max" }),
        (Binary::Pow, Elem::F32) => format!("power_of({a}, {b})"),
        (Binary::Pow, _) => return Err(wrong("floats")),
    };
    Ok((text, elem))
}
