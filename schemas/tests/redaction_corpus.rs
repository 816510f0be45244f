//! How many secrets of real-looking command lines the built-in rules find, and
//! how many harmless arguments they touch.

use whence_schemas::redact::{Redactor, Rules};

const SECRET: &str = include_str!("corpus/secret.txt");
const HARMLESS: &str = include_str!("corpus/harmless.txt");

fn lines(corpus: &str) -> impl Iterator<Item = Vec<String>> {
    corpus
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let args = shlex::split(line);
            assert!(args.is_some(), "quotes are open: {line}");
            let args = args.unwrap_or_default();
            args.iter().map(|arg| arg.replace('⏎', "\n")).collect()
        })
}

fn redacted(args: &[String]) -> Vec<String> {
    let bytes: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
    match Redactor::new(Rules::builtin()).args(&bytes) {
        Some(found) => found
            .into_iter()
            .map(|arg| String::from_utf8_lossy(&arg).into_owned())
            .collect(),
        None => args.to_vec(),
    }
}

/// An argument without its marks, and the secrets that were marked in it.
fn unmarked(arg: &str) -> (String, Vec<String>) {
    let secrets = arg.split('«').skip(1);
    let secrets = secrets.map(|rest| rest.split('»').next().unwrap_or_default().to_owned());
    (arg.replace(['«', '»'], ""), secrets.collect())
}

#[test]
fn nearly_all_planted_secrets_are_replaced_and_nearly_no_other_argument() {
    let (mut planted, mut missed) = (0, Vec::new());
    let (mut harmless, mut touched) = (0, Vec::new());
    let mut count = (0, 0);
    for marked in lines(SECRET) {
        count.0 += 1;
        let (args, secrets): (Vec<_>, Vec<_>) = marked.iter().map(|arg| unmarked(arg)).unzip();
        for ((arg, secrets), found) in args.iter().zip(&secrets).zip(redacted(&args)) {
            planted += secrets.len();
            missed.extend(secrets.iter().filter(|s| found.contains(*s)).cloned());
            if secrets.is_empty() {
                harmless += 1;
                touched.extend((*arg != found).then(|| (arg.clone(), found)));
            }
        }
    }
    let beside = touched.len();
    let of_secret_lines = harmless;
    for args in lines(HARMLESS) {
        count.1 += 1;
        harmless += args.len();
        let found = redacted(&args);
        touched.extend(
            args.into_iter()
                .zip(found)
                .filter(|(arg, found)| arg != found),
        );
    }
    println!("{} of {planted} secrets missed: {missed:#?}", missed.len());
    println!(
        "{} of {harmless} others touched: {touched:#?}",
        touched.len()
    );
    assert!(count.0 >= 200 && count.1 >= 200, "{count:?}");
    assert!(missed.len() * 100 <= planted * 2);
    assert!(touched.len() * 100 <= harmless * 2);
    // The harmless lines alone, too: those beside a secret do not dilute them.
    assert!((touched.len() - beside) * 100 <= (harmless - of_secret_lines) * 2);
}
