//! Command sets (PS3.7 section 6.3): a few elements of group 0000 in implicit little endian.

use crate::pdu::Malformed;
use crate::uid::{is_uid, plain};

/// The greatest command set that is read, in bytes. Those of C-STORE have a few hundred.
pub(crate) const MAX_COMMAND: usize = 16 << 10;

pub(crate) const C_STORE_RQ: u16 = 0x0001;
pub(crate) const C_ECHO_RQ: u16 = 0x0030;
pub(crate) const C_CANCEL_RQ: u16 = 0x0fff;
/// What a response has over its request.
pub(crate) const RESPONSE: u16 = 0x8000;
/// The status of what has been done.
pub(crate) const SUCCESS: u16 = 0x0000;
/// "No data set follows."
const NO_DATA: u16 = 0x0101;
/// "A data set follows": any value but the one above.
const DATA: u16 = 0x0001;

const GROUP_LENGTH: u16 = 0x0000;
const AFFECTED_CLASS: u16 = 0x0002;
const COMMAND_FIELD: u16 = 0x0100;
const MESSAGE_ID: u16 = 0x0110;
const RESPONDED_TO: u16 = 0x0120;
const PRIORITY: u16 = 0x0700;
const DATA_SET_TYPE: u16 = 0x0800;
const STATUS: u16 = 0x0900;
const ERROR_COMMENT: u16 = 0x0902;
const AFFECTED_INSTANCE: u16 = 0x1000;

/// What a command says, as far as C-ECHO and C-STORE need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) field: u16,
    pub(crate) message_id: Option<u16>,
    pub(crate) responded_to: Option<u16>,
    /// A data set follows.
    pub(crate) data: bool,
    pub(crate) status: Option<u16>,
    pub(crate) comment: Option<String>,
    /// Affected SOP Class UID, if it is a UID.
    pub(crate) class: Option<String>,
    /// Affected SOP Instance UID, if it is a UID.
    pub(crate) instance: Option<String>,
}

impl Command {
    /// Reads a whole command set. Its group length is not needed, and not believed.
    ///
    /// # Errors
    /// Lengths that do not fit, tags that do not ascend or are of another group, numbers that are none, no command field or data set type.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let mut command = Self::default();
        let (mut field, mut data) = (None, None);
        let mut before = None;
        while !bytes.is_empty() {
            let (element, value, rest) =
                element(bytes).ok_or("an element of a command is longer than the command")?;
            bytes = rest;
            if before.is_some_and(|before| before >= element) {
                return Err("the elements of a command do not ascend");
            }
            before = Some(element);
            match element {
                COMMAND_FIELD => field = Some(number(value)?),
                MESSAGE_ID => command.message_id = Some(number(value)?),
                RESPONDED_TO => command.responded_to = Some(number(value)?),
                DATA_SET_TYPE => data = Some(number(value)? != NO_DATA),
                STATUS => command.status = Some(number(value)?),
                ERROR_COMMENT => command.comment = Some(plain(&value[..value.len().min(64)])),
                AFFECTED_CLASS => command.class = uid(value),
                AFFECTED_INSTANCE => command.instance = uid(value),
                _ => {}
            }
        }
        command.field = field.ok_or("a command does not say what is to be done")?;
        command.data = data.ok_or("a command does not say whether a data set follows")?;
        Ok(command)
    }

    /// The command set, with its group length.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut set = Set::default();
        set.text(AFFECTED_CLASS, self.class.as_deref(), 0);
        set.number(COMMAND_FIELD, Some(self.field));
        set.number(MESSAGE_ID, self.message_id);
        set.number(RESPONDED_TO, self.responded_to);
        // Medium, which every C-STORE request must say and nobody heeds.
        set.number(PRIORITY, (self.field == C_STORE_RQ).then_some(0));
        set.number(DATA_SET_TYPE, Some(if self.data { DATA } else { NO_DATA }));
        set.number(STATUS, self.status);
        set.text(ERROR_COMMENT, self.comment.as_deref(), b' ');
        set.text(AFFECTED_INSTANCE, self.instance.as_deref(), 0);
        let mut whole = Set::default();
        whole.element(GROUP_LENGTH, &(set.0.len() as u32).to_le_bytes());
        whole.0.append(&mut set.0);
        whole.0
    }

    /// A response to this request. `comment` is cut to 64 characters.
    pub(crate) fn response(&self, status: u16, comment: Option<&str>) -> Self {
        Self {
            field: self.field | RESPONSE,
            responded_to: Some(self.message_id.unwrap_or(0)),
            status: Some(status),
            comment: comment.map(|text| {
                let masked = plain(text.as_bytes());
                masked[..masked.len().min(64)].trim_end().to_owned()
            }),
            class: self.class.clone(),
            instance: self.instance.clone(),
            ..Self::default()
        }
    }
}

/// Element number, value and what is behind it.
fn element(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let [group @ .., e0, e1, l0, l1, l2, l3] = *head;
    if group != [0, 0] {
        return None;
    }
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes([l0, l1, l2, l3]) as usize)?;
    Some((u16::from_le_bytes([e0, e1]), value, rest))
}

fn number(value: &[u8]) -> Result<u16, Malformed> {
    let value = value
        .try_into()
        .map_err(|_| "a number in a command has not two bytes")?;
    Ok(u16::from_le_bytes(value))
}

fn uid(value: &[u8]) -> Option<String> {
    // A UID has 64 characters and one byte of padding at most; no longer text is looked at.
    let text = plain(value.get(..value.len().min(66))?);
    is_uid(&text).then_some(text)
}

/// Elements as bytes.
#[derive(Default)]
struct Set(Vec<u8>);

impl Set {
    fn element(&mut self, element: u16, value: &[u8]) {
        self.0.extend([0, 0]);
        self.0.extend(element.to_le_bytes());
        self.0.extend((value.len() as u32).to_le_bytes());
        self.0.extend(value);
    }

    fn number(&mut self, element: u16, value: Option<u16>) {
        if let Some(value) = value {
            self.element(element, &value.to_le_bytes());
        }
    }

    fn text(&mut self, element: u16, value: Option<&str>, padding: u8) {
        if let Some(value) = value {
            let mut bytes = value.as_bytes().to_vec();
            if !bytes.len().is_multiple_of(2) {
                bytes.push(padding);
            }
            self.element(element, &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_command_that_was_written_is_read_as_it_was(
            field: u16, message_id: Option<u16>, responded_to: Option<u16>, data: bool, status: Option<u16>,
            comment in proptest::option::of("[!-~]{0,64}"),
            class in proptest::option::of("[0-9]{1,5}(\\.[0-9]{1,5}){0,9}"),
            instance in proptest::option::of("[0-9]{1,5}(\\.[0-9]{1,5}){0,9}"),
        ) {
            let command = Command { field, message_id, responded_to, data, status, comment, class, instance };
            prop_assert_eq!(Command::read(&command.to_bytes()), Ok(command));
        }

        #[test]
        fn no_bytes_are_too_strange_to_be_read(bytes: Vec<u8>) {
            let _ = Command::read(&bytes);
        }
    }

    #[test]
    fn a_uid_that_is_none_is_as_good_as_missing() {
        let mut command = Command {
            field: C_STORE_RQ,
            instance: Some("../../etc".into()),
            ..Command::default()
        };
        assert_eq!(Command::read(&command.to_bytes()).unwrap().instance, None);
        command.instance = Some("1".repeat(200));
        assert_eq!(Command::read(&command.to_bytes()).unwrap().instance, None);
    }

    #[test]
    fn a_comment_is_cut_to_what_its_field_holds() {
        let long = "no room ".repeat(20);
        let response = Command::default().response(0xa700, Some(&long));
        assert!(response.comment.unwrap().len() <= 64);
    }
}
