//! Symbolic dimensions: a number, a polynomial over named symbols, or nothing known.
//!
//! Expressions are kept in one normal form (a sum of products of atoms with whole coefficients), so
//! that two dimensions that are equal by algebra compare equal: `n + 1 + n` is `2*n + 1`. What does
//! not normalise (division, maximum) becomes an atom. Arithmetic that overflows gives
//! [`Dim::Unknown`], never a wrong number.

mod parse;

pub use parse::parse_dim;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One dimension of a shape, or one whole number of a shape computation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dim {
    /// A number. Dimensions are not negative; intermediate results of shape computations may be.
    Known(i64),
    /// A polynomial with at least one symbol.
    Expr(Arc<Poly>),
    /// Nothing is known. Two unknowns are not known to be equal: use [`Dim::same`].
    Unknown,
}

/// A sum of monomials: products of atoms (sorted, repeated for powers) to their coefficients. The
/// empty product is the constant term. No coefficient is zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Poly {
    terms: BTreeMap<Vec<Atom>, i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Atom {
    Symbol(Arc<str>),
    FloorDiv(Arc<Poly>, Arc<Poly>),
    Max(Arc<Poly>, Arc<Poly>),
    Min(Arc<Poly>, Arc<Poly>),
}

/// Larger expressions are given up as unknown: input files must not make us work without bound.
const MAX_TERMS: usize = 64;
const MAX_DEGREE: usize = 8;

impl From<usize> for Dim {
    fn from(value: usize) -> Self {
        i64::try_from(value).map_or(Self::Unknown, Self::Known)
    }
}

impl From<i64> for Dim {
    fn from(value: i64) -> Self {
        Self::Known(value)
    }
}

impl Dim {
    /// A named symbol.
    #[must_use]
    pub fn symbol(name: &str) -> Self {
        let terms = BTreeMap::from([(vec![Atom::Symbol(name.into())], 1)]);
        Self::Expr(Arc::new(Poly { terms }))
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Expr(_) | Self::Unknown => None,
        }
    }

    /// The number, if it is one that can be a size.
    #[must_use]
    pub fn as_usize(&self) -> Option<usize> {
        self.as_i64().and_then(|value| usize::try_from(value).ok())
    }

    /// Whether the two are known to be equal.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        *self != Self::Unknown && self == other
    }

    /// Whether the two are known to differ: both are numbers, or differ by a known number.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        matches!(self.sub(other), Self::Known(difference) if difference != 0)
    }

    /// Whether it is known to be 0 or more, whatever sizes (which are never negative) its symbols
    /// stand for.
    #[must_use]
    pub fn is_never_negative(&self) -> bool {
        match self {
            Self::Known(value) => *value >= 0,
            Self::Expr(poly) => poly.is_never_negative(),
            Self::Unknown => false,
        }
    }

    /// The sum.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a.add(b, 1))
    }

    /// The difference.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a.add(b, -1))
    }

    /// The product.
    #[must_use]
    pub fn mul(&self, other: &Self) -> Self {
        if *self == Self::Known(0) || *other == Self::Known(0) {
            return Self::Known(0);
        }
        self.combine(other, Poly::mul)
    }

    /// The quotient rounded down. Unknown for a division by zero.
    #[must_use]
    pub fn floor_div(&self, other: &Self) -> Self {
        match (self.as_i64(), other.as_i64()) {
            (_, Some(0)) => Self::Unknown,
            (Some(a), Some(b)) => a.checked_div_euclid(b).map_or(Self::Unknown, |euclid| {
                // Euclid's quotient is the floor for positive divisors only.
                Self::Known(if b < 0 && a.rem_euclid(b) != 0 { euclid - 1 } else { euclid })
            }),
            (_, Some(1)) => self.clone(),
            _ if self.same(other) => Self::Known(1),
            _ => self.combine(other, |a, b| {
                Some(a.exact_div(b).unwrap_or_else(|| Poly::atom(Atom::FloorDiv(arc(a), arc(b)))))
            }),
        }
    }

    /// The quotient rounded up, for a positive divisor.
    #[must_use]
    pub fn ceil_div(&self, other: &Self) -> Self {
        self.add(other).sub(&Self::Known(1)).floor_div(other)
    }

    /// The greater of the two.
    #[must_use]
    pub fn greater(&self, other: &Self) -> Self {
        self.pick(other, |difference| difference >= 0, Atom::Max)
    }

    /// The lesser of the two.
    #[must_use]
    pub fn lesser(&self, other: &Self) -> Self {
        self.pick(other, |difference| difference <= 0, Atom::Min)
    }

    /// Whether this is the lesser of `other` and a positive number. Where the two have to broadcast,
    /// the result is `other`: either they are equal, or one of them is 1.
    #[must_use]
    pub fn is_capped(&self, other: &Self) -> bool {
        let (Self::Expr(poly), Some(other)) = (self, other.to_poly()) else { return false };
        let mut terms = poly.terms.iter();
        let (Some((atoms, 1)), None) = (terms.next(), terms.next()) else { return false };
        let [Atom::Min(a, b)] = &atoms[..] else { return false };
        let caps = |cap: &Poly, rest: &Poly| cap.as_constant() > Some(0) && *rest == other;
        caps(a, b) || caps(b, a)
    }

    fn pick(
        &self,
        other: &Self,
        first: impl Fn(i64) -> bool,
        atom: impl Fn(Arc<Poly>, Arc<Poly>) -> Atom,
    ) -> Self {
        match self.sub(other) {
            Self::Known(difference) => if first(difference) { self } else { other }.clone(),
            _ => self.combine(other, |a, b| {
                let (a, b) = if a <= b { (a, b) } else { (b, a) };
                Some(Poly::atom(atom(arc(a), arc(b))))
            }),
        }
    }

    fn combine(&self, other: &Self, op: impl Fn(&Poly, &Poly) -> Option<Poly>) -> Self {
        match (self.to_poly(), other.to_poly()) {
            (Some(a), Some(b)) => op(&a, &b).map_or(Self::Unknown, Self::from_poly),
            _ => Self::Unknown,
        }
    }

    fn to_poly(&self) -> Option<Poly> {
        match self {
            Self::Known(value) => Some(Poly::constant(*value)),
            Self::Expr(poly) => Some(Poly::clone(poly)),
            Self::Unknown => None,
        }
    }

    fn from_poly(poly: Poly) -> Self {
        if poly.terms.len() > MAX_TERMS || poly.terms.keys().any(|atoms| atoms.len() > MAX_DEGREE) {
            return Self::Unknown;
        }
        match poly.as_constant() {
            Some(value) => Self::Known(value),
            None => Self::Expr(Arc::new(poly)),
        }
    }

    /// The value when symbols have these values; unknown while one is missing.
    #[must_use]
    pub fn substitute(&self, values: &dyn Fn(&str) -> Option<Self>) -> Self {
        match self {
            Self::Expr(poly) => poly.substitute(values),
            _ => self.clone(),
        }
    }

    /// Adds the names of all symbols to `found`.
    pub fn symbols(&self, found: &mut std::collections::BTreeSet<Arc<str>>) {
        if let Self::Expr(poly) = self {
            poly.symbols(found);
        }
    }
}

fn arc(poly: &Poly) -> Arc<Poly> {
    Arc::new(poly.clone())
}

impl Poly {
    fn constant(value: i64) -> Self {
        let mut terms = BTreeMap::new();
        if value != 0 {
            terms.insert(Vec::new(), value);
        }
        Self { terms }
    }

    fn atom(atom: Atom) -> Self {
        Self { terms: BTreeMap::from([(vec![atom], 1)]) }
    }

    fn as_constant(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    fn is_never_negative(&self) -> bool {
        self.terms.iter().all(|(atoms, &coefficient)| {
            coefficient >= 0 && atoms.iter().all(Atom::is_never_negative)
        })
    }

    fn add(&self, other: &Self, sign: i64) -> Option<Self> {
        let mut terms = self.terms.clone();
        for (atoms, coefficient) in &other.terms {
            let slot = terms.entry(atoms.clone()).or_insert(0);
            *slot = slot.checked_add(coefficient.checked_mul(sign)?)?;
        }
        terms.retain(|_, coefficient| *coefficient != 0);
        Some(Self { terms })
    }

    fn mul(&self, other: &Self) -> Option<Self> {
        let mut terms = BTreeMap::new();
        for (a, x) in &self.terms {
            for (b, y) in &other.terms {
                let mut atoms: Vec<Atom> = a.iter().chain(b).cloned().collect();
                atoms.sort();
                let slot = terms.entry(atoms).or_insert(0i64);
                *slot = slot.checked_add(x.checked_mul(*y)?)?;
            }
        }
        terms.retain(|_, coefficient| *coefficient != 0);
        Some(Self { terms })
    }

    /// The quotient if `other` is one term that divides every term without remainder.
    fn exact_div(&self, other: &Self) -> Option<Self> {
        let (divisor, by) = other.terms.iter().next().filter(|_| other.terms.len() == 1)?;
        let mut terms = BTreeMap::new();
        for (atoms, coefficient) in &self.terms {
            let mut rest = atoms.clone();
            for atom in divisor {
                rest.remove(rest.iter().position(|have| have == atom)?);
            }
            if coefficient.checked_rem(*by)? != 0 {
                return None;
            }
            terms.insert(rest, coefficient / by);
        }
        Some(Self { terms })
    }

    fn substitute(&self, values: &dyn Fn(&str) -> Option<Dim>) -> Dim {
        let side = |poly: &Arc<Self>| poly.substitute(values);
        self.terms.iter().fold(Dim::Known(0), |sum, (atoms, coefficient)| {
            let product = atoms.iter().fold(Dim::Known(*coefficient), |product, atom| {
                product.mul(&match atom {
                    Atom::Symbol(name) => values(name).unwrap_or(Dim::Unknown),
                    Atom::FloorDiv(a, b) => side(a).floor_div(&side(b)),
                    Atom::Max(a, b) => side(a).greater(&side(b)),
                    Atom::Min(a, b) => side(a).lesser(&side(b)),
                })
            });
            sum.add(&product)
        })
    }

    fn symbols(&self, found: &mut std::collections::BTreeSet<Arc<str>>) {
        for atom in self.terms.keys().flatten() {
            match atom {
                Atom::Symbol(name) => {
                    found.insert(Arc::clone(name));
                }
                Atom::FloorDiv(a, b) | Atom::Max(a, b) | Atom::Min(a, b) => {
                    a.symbols(found);
                    b.symbols(found);
                }
            }
        }
    }
}

impl Atom {
    fn is_never_negative(&self) -> bool {
        match self {
            Self::Symbol(_) => true,
            Self::FloorDiv(a, b) | Self::Min(a, b) => {
                a.is_never_negative() && b.is_never_negative()
            }
            Self::Max(a, b) => a.is_never_negative() || b.is_never_negative(),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => write!(f, "{value}"),
            Self::Expr(poly) => write!(f, "{poly}"),
            Self::Unknown => f.write_str("?"),
        }
    }
}

impl fmt::Display for Poly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        // The constant comes last: `past + 1`, not `1 + past`.
        let constant = self.terms.get(&Vec::new()).map(|value| (&[][..], *value));
        let others = self.terms.iter().filter(|(atoms, _)| !atoms.is_empty());
        let terms = others.map(|(atoms, value)| (&atoms[..], *value)).chain(constant);
        for (at, (atoms, coefficient)) in terms.enumerate() {
            match (at, coefficient < 0) {
                (0, false) => {}
                (0, true) => f.write_str("-")?,
                (_, false) => f.write_str(" + ")?,
                (_, true) => f.write_str(" - ")?,
            }
            let size = coefficient.unsigned_abs();
            if atoms.is_empty() || size != 1 {
                write!(f, "{size}{}", if atoms.is_empty() { "" } else { "*" })?;
            }
            for (at, atom) in atoms.iter().enumerate() {
                write!(f, "{}{atom}", if at > 0 { "*" } else { "" })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(name) if parse::is_plain_symbol(name) => f.write_str(name),
            Self::Symbol(name) => write!(f, "{name:?}"),
            Self::FloorDiv(a, b) => write!(f, "floordiv({a}, {b})"),
            Self::Max(a, b) => write!(f, "max({a}, {b})"),
            Self::Min(a, b) => write!(f, "min({a}, {b})"),
        }
    }
}

/// Prints `[2, n + 1]`.
#[derive(Debug)]
pub struct DisplayDims<'a>(pub &'a [Dim]);

impl fmt::Display for DisplayDims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, dim) in self.0.iter().enumerate() {
            write!(f, "{}{dim}", if at > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::{Dim, parse_dim};

    fn n() -> Dim {
        Dim::symbol("n")
    }

    #[test]
    fn a_capped_dimension_is_known_as_such() {
        let capped = |text: &str| parse_dim(text).unwrap().is_capped(&n());
        assert!(capped("min(n, 512)") && capped("min(512, n)"));
        assert!(!capped("min(n, 0)") && !capped("2*min(n, 512)") && !capped("min(m, 512)"));
        assert!(!capped("n") && !capped("max(n, 512)"));
    }

    #[test]
    fn signs_are_known_only_where_they_follow() {
        for never in ["n", "2*n + 1", "floordiv(n, 2)", "max(n - 1, 0)", "0"] {
            assert!(parse_dim(never).unwrap().is_never_negative(), "{never}");
        }
        for perhaps in ["n - 1", "min(n, m - 1)", "-n", "?"] {
            assert!(!parse_dim(perhaps).unwrap().is_never_negative(), "{perhaps}");
        }
    }

    #[test]
    fn equal_by_algebra_is_equal() {
        let twice = n().add(&n()).add(&Dim::Known(1));
        assert_eq!(twice, Dim::Known(2).mul(&n()).add(&Dim::Known(1)));
        assert_eq!(twice.sub(&twice), Dim::Known(0));
        assert_eq!(n().mul(&Dim::Known(6)).floor_div(&Dim::Known(3)), n().mul(&Dim::Known(2)));
        assert!(n().differs(&n().add(&Dim::Known(1))));
        assert!(!Dim::Unknown.same(&Dim::Unknown));
    }

    #[test]
    fn division_rounds_down_for_every_sign() {
        for (a, b, want) in [(7, 2, 3), (-7, 2, -4), (7, -2, -4), (-7, -2, 3), (6, -2, -3)] {
            assert_eq!(Dim::Known(a).floor_div(&Dim::Known(b)), Dim::Known(want), "{a} / {b}");
        }
        assert_eq!(Dim::Known(1).floor_div(&Dim::Known(0)), Dim::Unknown);
    }

    #[test]
    fn overflow_is_unknown() {
        assert_eq!(Dim::Known(i64::MAX).add(&Dim::Known(1)), Dim::Unknown);
        assert_eq!(Dim::Known(i64::MAX).mul(&n()).mul(&Dim::Known(2)), Dim::Unknown);
    }

    #[test]
    fn substitution_evaluates_every_atom() {
        let dim = parse_dim("floordiv(2*n + 3, 4) + max(n, m) - min(n, 7)").unwrap();
        let value = |name: &str| Some(Dim::Known(if name == "n" { 10 } else { 3 }));
        assert_eq!(dim.substitute(&value), Dim::Known(5 + 10 - 7));
    }

    #[test]
    fn printing_and_parsing_lose_nothing() {
        for text in [
            "0",
            "-3",
            "n",
            "?",
            "2*n + 1",
            "a*b - c",
            "floordiv(h + 1, 2)",
            "max(0, n)",
            "\"odd name\" + 1",
        ] {
            let dim = parse_dim(text).unwrap();
            assert_eq!(parse_dim(&dim.to_string()).unwrap(), dim, "{text} became {dim}");
        }
    }
}
