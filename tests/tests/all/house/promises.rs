//! SECURITY.md names tests: each is where it says.

use super::source::repository;

#[test]
fn each_promise_names_tests_that_exist() {
    let text = std::fs::read_to_string(repository().join("SECURITY.md")).expect("is there");
    let table = text.split("<!-- begin promises -->").nth(1).expect("a table");
    let table = table.split("<!-- end promises -->").next().expect("a table");
    let mut found = 0;
    for line in table.lines().filter(|line| line.contains(".rs |")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, names, file, _] = cells[..] else { panic!("not a row: {line}") };
        let source = std::fs::read_to_string(repository().join(file)).expect(file);
        for name in names.split(", ") {
            let name = name.trim_matches('`');
            let test = source.contains(&format!("fn {name}("));
            assert!(test, "{file} has no test {name}");
            found += 1;
        }
    }
    assert!(found > 40, "{found} tests are named");
}
