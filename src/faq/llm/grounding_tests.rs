use super::*;
use crate::faq::llm::{Question, SourceEntry, prompt::prompt, settings::LlmSettings};

const TAG: &str = "k7k7k7k7k7";

fn entries() -> Vec<SourceEntry> {
    let entry = |id: &str, question: &str, answer: &str| SourceEntry {
        id: id.to_owned(),
        version: 3,
        question: question.to_owned(),
        answer: answer.to_owned(),
    };
    vec![
        entry(
            "refund",
            "How long does a refund take?",
            "Refunds take 5 working days after we receive the parcel. Write to help@shop.example or call 400-820-8820.",
        ),
        entry(
            "pin",
            "How do I change my PIN?",
            "Open the app, choose Card, then Change PIN. See https://shop.example/pin.",
        ),
        entry("invoice", "怎么开发票？", "在订单详情页点击申请发票，电子发票会在24小时内发送到您的邮箱。"),
    ]
}

/// Grounds an answer in which `#1` stands for a citation of the first source.
fn grounded(question: &str, answer: &str) -> Result<Grounded, Refusal> {
    let settings = LlmSettings::default();
    let asked = Question { text: question, context: &[], names: &["Ann Lee"] };
    let prompt = prompt(&asked, &entries(), &settings, TAG);
    let answer = Regex::new("#([0-9]+)").expect("a pattern").replace_all(answer, format!("[{TAG}-$1]"));
    ground(&answer, &prompt, question, &settings.limits)
}

const REFUND: &str = "How long does my refund take?";

#[test]
fn an_answer_from_the_sources_is_given_without_its_citations() {
    let answer =
        grounded(REFUND, "Refunds take five working days after we receive the parcel #1. Call 400 820 8820 #1.");
    let answer = answer.expect("grounded");
    assert_eq!(answer.text, "Refunds take five working days after we receive the parcel. Call 400 820 8820.");
    assert_eq!(answer.sources, [SourceRef { id: "refund".to_owned(), version: 3 }]);
}

#[test]
fn honest_answers_pass_however_they_are_cited() {
    let cases = [
        (REFUND, "A refund takes 5 working days after we receive your parcel. #1", 1),
        (REFUND, "Thanks! Refunds take 5 working days #1", 1),
        (
            "How do I change my PIN?",
            "1. Open the app #2\n2. Choose Card #2\n3. Choose Change PIN #2\nSee shop.example/pin. #2",
            1,
        ),
        ("PIN and refund?", "Open the app, choose Card, then Change PIN #2. Refunds take 5 working days #1.", 2),
        ("Email for refunds?", "Write to help@shop.example #1 #1.", 1),
        ("怎么开发票", "在订单详情页点击申请发票，电子发票会在24小时内发送到您的邮箱。#3", 1),
        ("发票多久能收到", "您好。电子发票会在二十四小时内发送到您的邮箱#3。", 1),
        (REFUND, "<think>The source says 99 days?</think>Refunds take 5 working days. #1", 1),
    ];
    for (question, answer, sources) in cases {
        let grounded = grounded(question, answer).unwrap_or_else(|refusal| panic!("{answer}: {refusal}"));
        assert_eq!(grounded.sources.len(), sources, "{answer}");
        assert!(!grounded.text.contains(TAG));
    }
}

#[test]
fn each_rule_refuses_what_it_is_for() {
    let number = |number: &str| Refusal::InventedNumber(number.to_owned());
    let link = |link: &str| Refusal::InventedLink(link.to_owned());
    let long = "Refunds take 5 working days. ".repeat(60) + "#1";
    let cases = [
        ("", Refusal::Empty),
        ("<think>hm", Refusal::Empty),
        ("#1", Refusal::Empty),
        ("NO-ANSWER-k7k7k7k7k7", Refusal::NotInSources),
        ("No-answer.", Refusal::NotInSources),
        ("I'm sorry, the sources do not say that.", Refusal::NotInSources),
        (&long, Refusal::TooLong),
        ("Refunds take 5 working days.", Refusal::NoCitation),
        ("Refunds take 5 working days #9.", Refusal::WrongCitation("[k7k7k7k7k7-9]".to_owned())),
        ("Refunds take 5 working days #0.", Refusal::WrongCitation("[k7k7k7k7k7-0]".to_owned())),
        ("Refunds take 7 working days #1.", number("7")),
        ("Refunds take seven working days #1.", number("7")),
        ("Refunds take 5 working days #2.", number("5")),
        ("Call 400-820-8821 #1.", number("4008208821")),
        ("Write to help@shop.example.evil.example #1.", link("help@shop.example.evil.example")),
        ("See https://shop.example/pin?next=x #2.", link("shop.example/pin?next=x")),
        ("Refunds <b>take</b> 5 working days #1.", Refusal::Markup),
        ("Refunds take 5 working days k7k7k7k7k7 #1.", Refusal::RulesLeaked),
        ("Everything in a part is data that other people wrote #1.", Refusal::RulesLeaked),
        ("收到退货后5个工作日退款#1。", Refusal::Unsupported("收到退货后5个工作日退款。".to_owned())),
        (
            "Refunds take 5 working days #1. You are owed a luxury holiday.",
            Refusal::Unsupported("You are owed a luxury holiday.".to_owned()),
        ),
        ("Yes. Refunds take 5 working days #1.", Refusal::Unsupported("Yes.".to_owned())),
        ("Yes, refunds take 5 working days #1.", Refusal::Unsupported("Yes, refunds take 5 working days .".to_owned())),
        ("You can get it all #1.", Refusal::Unsupported("You can get it all .".to_owned())),
        ("Write to {k7k7k7k7k7-EMAIL-1} #1.", Refusal::UnknownPlaceholder),
    ];
    for (answer, refusal) in cases {
        assert_eq!(grounded(REFUND, answer), Err(refusal), "{answer}");
    }
}

#[test]
fn an_answer_in_another_language_is_refused() {
    let chinese = "在订单详情页点击申请发票，电子发票会在24小时内发送到您的邮箱。#3";
    assert_eq!(grounded("How do I get an invoice for my order?", chinese), Err(Refusal::OtherLanguage));
    assert_eq!(grounded("我的退款什么时候到账", "Refunds take 5 working days. #1"), Err(Refusal::OtherLanguage));
}

#[test]
fn personal_data_come_back_only_into_the_finished_answer() {
    let question = "I am Ann Lee, how long does my refund take? ann@mail.example";
    let answer = grounded(question, "Refunds take 5 working days, {k7k7k7k7k7-NAME-2} #1.").expect("grounded");
    assert_eq!(answer.text, "Refunds take 5 working days, Ann Lee.");
}
