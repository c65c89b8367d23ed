//! Rows of tables.

use super::*;

fn person(table: &str) -> Result<DirectoryChange, String> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let row: PersonRow = reader.deserialize().next().expect("a row").expect("fields are text");
    row.change()
}

#[test]
fn columns_of_attributes_are_attributes_even_when_they_look_like_numbers() {
    let found = person("id,status,attributes.department,attributes.costCenter\nbo,active,Finance; Audit,0042\n").expect("right");
    let DirectoryChange::PutPerson(bo) = found else { panic!("a person") };
    assert!(bo.attributes.has("department", "Audit") && bo.attributes.has("costCenter", "0042"), "{bo:?}");
}

#[test]
fn a_misspelt_column_is_refused_and_no_attribute() {
    let refused = person("id,statsu\nbo,left\n").expect_err("no such column");
    assert!(refused.contains("`statsu`"), "{refused}");
}
