use super::*;
use kefu_events::{Timestamp, faq::Audience};
use proptest::prelude::*;

fn text(rows: &[Row]) -> Vec<(&str, &str, usize)> {
    rows.iter().map(|row| (row.id.as_str(), row.content.answer.as_str(), row.content.similar.len())).collect()
}

fn wrong(bytes: &[u8], format: Format) -> String {
    parse(bytes, format).unwrap_err().to_string()
}

#[test]
fn a_table_in_either_language() {
    let english = "id,question,similar,answer,answer.web\nr1,Return?,\"Send back?\nReturns?\",14 days,<b>14</b>\n";
    let rows = parse(english.as_bytes(), Format::Csv).unwrap();
    assert_eq!(text(&rows), [("r1", "14 days", 2)]);
    assert_eq!(rows[0].content.channel_answers["web"], "<b>14</b>");
    let chinese = "\u{feff}问题,相似问,答案,分类\n怎么退货,如何退货,七天内可以,售后\n";
    let rows = parse(chinese.as_bytes(), Format::Csv).unwrap();
    assert_eq!(rows[0].id, id_of("怎么退货"), "a row without an id gets the same one each time");
    assert_eq!(rows[0].content.category.as_deref(), Some("售后"));
}

#[test]
fn every_wrong_row_is_named_and_nothing_is_used() {
    let csv = "id,question,answer,audience\nok,Q?,A,\nbad id,Q?,A,\nx,,A,\nok,Q2?,A,\ny,Q?,{name},\nz,Q?,A,robots\n";
    let text = wrong(csv.as_bytes(), Format::Csv);
    for expected in [
        "5 rows are wrong; nothing was used",
        "row 3: id: \"bad id\"",
        "row 4: question: 1 to 500 characters, not 0",
        "row 5: id: \"ok\" stands in row 2 already",
        "row 6: answer: the variable {name} has no value",
        "row 7: audience: unknown variant `robots`",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let jsonl = "{\"question\": \"Q\", \"answer\": \"A\"}\n{\"question\": 3}\nnonsense\n";
    let text = wrong(jsonl.as_bytes(), Format::Jsonl);
    assert!(text.contains("row 2: invalid type: integer `3`") && text.contains("row 3: expected"), "{text}");
}

#[test]
fn files_that_are_something_else_are_told_from_files_with_wrong_rows() {
    assert!(wrong(b"PK\x03\x04 no workbook", Format::Xlsx).starts_with("this is no readable XLSX file"));
    assert!(wrong(b"question,answer\nQ,\xff\xfe\n", Format::Csv).contains("byte 19 is not UTF-8"));
    assert!(wrong(b"question,price\nQ,3\n", Format::Csv).contains("there is no column \"price\""));
    assert!(wrong(b"question,similar\nQ,3\n", Format::Csv).contains("there is no column \"answer\""));
    assert!(wrong(b"question,question,answer\nQ,Q,3\n", Format::Csv).contains("is there twice"));
    assert!(matches!(Format::named("faq.pdf"), Err(FileError::Format(_))));
    assert_eq!(parse(b"", Format::Csv).unwrap(), []);
}

#[test]
fn a_spreadsheet_cut_off_anywhere_is_an_error_and_no_panic() {
    let rows = parse(b"question,answer\nQ,A\n", Format::Csv).unwrap();
    let whole = to_bytes(Format::Xlsx, &rows).unwrap();
    for length in (0..whole.len()).step_by(97) {
        assert!(parse(&whole[..length], Format::Xlsx).is_err(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn what_a_table_cannot_hold_is_said_before_anything_is_written() {
    let content = EntryContent { question: "Q".into(), answer: "A".into(), ..EntryContent::default() };
    let row =
        |similar: Vec<String>| Row { row: 1, id: "a".into(), content: EntryContent { similar, ..content.clone() } };
    let error = to_bytes(Format::Csv, &[row(vec!["two\nlines".into()])]).unwrap_err().to_string();
    assert!(error.contains("row 2: a: a way of asking"), "{error}");
    let long = (0..200).map(|number| format!("{number}{}", "x".repeat(400))).collect();
    let error = to_bytes(Format::Xlsx, &[row(long)]).unwrap_err().to_string();
    assert!(error.contains("32767 characters"), "{error}");
}

fn words() -> impl Strategy<Value = String> {
    // Quotes, commas, formulas and whatever else tables are known to trip over.
    prop_oneof!["[a-z0-9=+@\",;'\\-]{1,12}", "[好的退货问题？！]{1,8}", "[a-z] [a-z]{1,5}"]
        .prop_map(|text| text.trim().to_owned())
}

prop_compose! {
    fn contents()(
        question in words(), similar in prop::collection::vec(words(), 0..4), answer in words(),
        web in prop::option::of(words()), category in prop::option::of("[a-z]{1,5}"), agents in any::<bool>(),
        from in prop::option::of(0..4_000_000_000_000_i64),
    ) -> EntryContent {
        EntryContent {
            question, similar, answer,
            channel_answers: web.into_iter().map(|text| ("web".to_owned(), text)).collect(),
            variables: BTreeMap::from([("shop".to_owned(), "a=b".to_owned())]),
            language: Some("zh-CN".to_owned()),
            category,
            audience: if agents { Audience::Agents } else { Audience::Customers },
            valid_from: from.map(Timestamp::from_millis),
            valid_until: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(contents in prop::collection::vec(contents(), 0..5)) {
        let rows: Vec<Row> = contents.into_iter().enumerate().map(|(index, content)| {
            Row { row: index, id: format!("e{index}"), content: entry::tidied(content) }
        }).filter(|row| entry::check(&row.content).is_ok()).collect();
        for format in [Format::Jsonl, Format::Csv, Format::Xlsx] {
            let read = parse(&to_bytes(format, &rows).unwrap(), format).unwrap();
            prop_assert_eq!(read.len(), rows.len());
            for (read, written) in read.iter().zip(&rows) {
                prop_assert_eq!((&read.id, &read.content), (&written.id, &written.content), "{}", format);
            }
        }
    }
}
