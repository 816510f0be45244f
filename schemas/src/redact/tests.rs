use super::*;

fn redacted(args: &[&str]) -> Vec<String> {
    let bytes: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
    let mut redactor = Redactor::new(Rules::builtin());
    match redactor.args(&bytes) {
        Some(found) => found
            .iter()
            .map(|a| String::from_utf8_lossy(a).into_owned())
            .collect(),
        None => args.iter().map(|a| (*a).to_owned()).collect(),
    }
}

#[test]
fn a_secret_has_one_placeholder_wherever_it_is() {
    let found = redacted(&[
        "x",
        "--password=a-b",
        "--token",
        "c-d",
        "--db-password",
        "a-b",
    ]);
    let expected = [
        "x",
        "--password=[secret:1]",
        "--token",
        "[secret:2]",
        "--db-password",
        "[secret:1]",
    ];
    assert_eq!(found, expected);
}

#[test]
fn scripts_within_an_argument_are_split_as_a_shell_would() {
    let found = redacted(&[
        "sh",
        "-c",
        "mysql -uroot -phunter2 db && curl -u me:pw http://h",
    ]);
    assert_eq!(
        found[2],
        "mysql -uroot -p[secret:1] db && curl -u me:[secret:2] http://h"
    );
    let found = redacted(&["ssh", "h", "sudo sh -c \"redis-cli -a 'p w' ping\""]);
    assert_eq!(found[2], "sudo sh -c \"redis-cli -a '[secret:1]' ping\"");
}

#[test]
fn what_is_replaced_once_is_left_alone_the_second_time() {
    let once = redacted(&[
        "x",
        "--password=hunter2",
        "Authorization: Bearer abcdefghijklmnop",
    ]);
    let twice = redacted(&once.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(once, twice);
}

/// A recording may have more than nine secrets.
#[test]
fn placeholders_of_any_number_stay_as_they_are() {
    let mut redactor = Redactor::after(Rules::builtin(), 20);
    let args: [&[u8]; 4] = [
        b"echo",
        b"[secret:10]",
        b"DB_PASSWORD=[secret:11]",
        b"https://bob:[secret:12345]@example.com/",
    ];
    assert_eq!(redactor.args(&args), None);
    // A secret that only looks like one is no placeholder.
    let args: [&[u8]; 2] = [b"x", b"DB_PASSWORD=[secret:opensesame"];
    assert!(redactor.args(&args).is_some());
    let found = redactor.args(&[b"x", b"[secret:10] --password=hunter2 [secret:11]"]);
    assert_eq!(
        found.unwrap()[1],
        b"[secret:10] --password=[secret:22] [secret:11]"
    );
}

#[test]
fn own_rules_add_to_the_built_in_ones_or_replace_them() {
    let args: [&[u8]; 4] = [b"x", b"--password=a", b"--badge", b"b"];
    let run = |text: &str| {
        let mut redactor = Redactor::new(Rules::parse(text).unwrap());
        let found = redactor.args(&args).unwrap();
        String::from_utf8(found.join(&b' ')).unwrap()
    };
    assert_eq!(
        run("name badge"),
        "x --password=[secret:1] --badge [secret:2]"
    );
    assert_eq!(
        run("default off\nname badge"),
        "x --password=a --badge [secret:1]"
    );
}

#[test]
fn without_rules_nothing_is_touched() {
    let mut redactor = Redactor::new(Rules::none());
    assert!(
        redactor
            .argv(b"mysql\0-phunter2\0--password\0x\0")
            .is_none()
    );
    assert_eq!(redactor.report().replaced, 0);
}

#[test]
fn bytes_that_are_no_text_keep_their_place() {
    let mut redactor = Redactor::new(Rules::builtin());
    let found = redactor.argv(b"x\0\xff\xfe\0--password\0\xff\0\0").unwrap();
    assert_eq!(found, b"x\0\xff\xfe\0--password\0[secret:1]\0\0");
}

#[test]
fn nothing_that_can_be_given_is_a_panic_or_takes_long() {
    let mut redactor = Redactor::new(Rules::builtin());
    for piece in [
        "password=",
        "--token ",
        "'\"",
        "\\",
        "a:b@",
        "://x:",
        "-----BEGIN",
        "=",
        "\0",
    ] {
        let text = piece.repeat(20_000);
        let _ = redactor.argv(text.as_bytes());
        let _ = redactor.text(&text);
        let _ = suspicious(&text);
    }
}
