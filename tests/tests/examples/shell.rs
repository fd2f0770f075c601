//! As much of a shell as the docs use: which commands a block calls, with which words.

use std::collections::BTreeMap;

/// The simple commands of a block, each as its words. Variables that the block sets are put in; a loop's variable has its first value.
///
/// Known: quotes, comments, lines that go on behind a backslash, `&&`, `||`, `;`, `|`, `&`, redirections, `VAR=value`, `for … in … do … done`.
pub(crate) fn commands(block: &str) -> Vec<Vec<String>> {
    let mut variables = BTreeMap::new();
    let mut found = Vec::new();
    for line in block.replace("\\\n", " ").lines() {
        for words in simple(line) {
            found.extend(called(words, &mut variables));
        }
    }
    found
}

/// A line's simple commands: its words, cut at operators, without redirections and comments.
fn simple(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut skip = false; // the word behind a redirection
    let end = |word: &mut Option<String>, skip: &mut bool, into: &mut Vec<String>| {
        if let Some(word) = word.take()
            && !std::mem::take(skip)
        {
            into.push(word);
        }
    };
    for letter in line.chars() {
        let last = commands.last_mut().expect("never empty");
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ' | '\t') => end(&mut word, &mut skip, last),
            (None, '>' | '<') => {
                // The number of a stream belongs to the redirection.
                word = word.filter(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
                end(&mut word, &mut skip, last);
                skip = true;
            }
            (None, '&') if skip && word.is_none() => {}
            (None, '&' | '|' | ';') => {
                end(&mut word, &mut skip, last);
                commands.push(Vec::new());
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    end(
        &mut word,
        &mut skip,
        commands.last_mut().expect("never empty"),
    );
    commands.retain(|words| !words.is_empty());
    commands
}

/// What a simple command calls, after what belongs to the shell itself; nothing if that is all of it.
fn called(mut words: Vec<String>, variables: &mut BTreeMap<String, String>) -> Option<Vec<String>> {
    for word in &mut words {
        for (name, value) in &*variables {
            *word = word.replace(&format!("${name}"), value);
        }
    }
    match words[0].as_str() {
        "for" => {
            variables.insert(words[1].clone(), words[3].clone());
            return None;
        }
        "do" => {
            words.remove(0);
        }
        "done" => return None,
        _ => {}
    }
    while let Some((name, value)) = words.first().and_then(|word| word.split_once('=')) {
        if !name
            .chars()
            .all(|letter| letter == '_' || letter.is_ascii_uppercase())
        {
            break;
        }
        variables.insert(name.to_owned(), value.to_owned());
        words.remove(0);
    }
    (!words.is_empty()).then_some(words)
}

#[test]
fn the_shell_of_the_docs_is_understood() {
    let block = "\
N=target/nephrobox  # set here
$N bench $M --a 'b c' > out 2>&1 && x | y
for d in cpu cuda; do
    $N run --device $d \\
        --more; done
A=1 cargo test";
    let expected: [&[&str]; 5] = [
        &["target/nephrobox", "bench", "$M", "--a", "b c"],
        &["x"],
        &["y"],
        &["target/nephrobox", "run", "--device", "cpu", "--more"],
        &["cargo", "test"],
    ];
    assert_eq!(commands(block), expected);
}
