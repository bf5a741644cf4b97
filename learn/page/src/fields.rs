//! A question as a line of text: the name of a chapter and fields, `gate bits=8 shift=2 y=-5
//! seed=.. session=0`; lists have commas. So short a form needs no parser that would take as much
//! of the page as a protocol.

use core::str::FromStr;

use crate::refusal::Refusal;

/// The fields of a question.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'q>(&'q str);

impl<'q> Fields<'q> {
    /// What follows the chapter's name.
    pub fn of(text: &'q str) -> Self {
        Self(text)
    }

    /// A field's text, if the question has it.
    pub fn find(self, name: &str) -> Option<&'q str> {
        let fields = self.0.split(' ').filter_map(|field| field.split_once('='));
        fields.filter(|(found, _)| *found == name).map(|(_, text)| text).next()
    }

    /// A field's text.
    ///
    /// # Errors
    /// There is none.
    pub fn text(self, name: &str) -> Result<&'q str, Refusal> {
        self.find(name).ok_or_else(|| Refusal::new(format!("The question says no `{name}`.")))
    }

    /// A whole number.
    ///
    /// # Errors
    /// There is none, or it is no number of the wanted size.
    pub fn number<T: FromStr>(self, name: &str) -> Result<T, Refusal> {
        parse(name, self.text(name)?)
    }

    /// A list of whole numbers; nothing at all is an empty one.
    ///
    /// # Errors
    /// As [`Fields::number`].
    pub fn list<T: FromStr>(self, name: &str) -> Result<Vec<T>, Refusal> {
        let text = self.text(name)?;
        text.split(',').filter(|_| !text.is_empty()).map(|item| parse(name, item)).collect()
    }

    /// As many whole numbers as are wanted.
    ///
    /// # Errors
    /// As [`Fields::number`], or there are more or fewer.
    pub fn numbers<const N: usize>(self, name: &str) -> Result<[i64; N], Refusal> {
        let found = self.list(name)?;
        let count = found.len();
        found.try_into().map_err(|_| {
            Refusal::new(format!("`{name}` has {count} numbers where {N} are wanted."))
        })
    }
}

fn parse<T: FromStr>(name: &str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(format!(
            "`{name}` is \"{text}\", which is not a whole number that can be used here. Type \
             another."
        ))
    })
}
