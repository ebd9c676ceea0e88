//! What the demo tenant says.

use serde_json::{Value, json};

/// The document `tenant` of the demo tenant: everything is switched on that a newcomer might want to see, and nothing
/// must be typed before a person is reached.
pub fn demo_settings() -> Value {
    json!({
        "name": "Demo",
        "texts": {
            "welcome": "Hello, this is the demo. Ask me anything, or write \"human\" to talk to a person. \
                        您好，这里是演示客服。请描述您的问题，或输入“人工”转人工服务。",
            "handoff": "I am passing you on to a colleague. One moment, please. 正在为您转接人工客服，请稍候。",
            "accepted": "You are now talking to {agent}.",
            "inactivity_prompt": "Are you still there? Was that all?",
            "inactivity_closed": "We close this conversation for now. Write again whenever you like.",
            "queue_position": "You are number {position} in line; it takes about {minutes} min. 您排在第 {position} 位，预计等待约 {minutes} 分钟。",
            "queue_position_only": "You are number {position} in line. 您排在第 {position} 位。",
            "which_question": "Which of these do you mean? Please answer with its number, or 0 for none of them. \
                               您想问的是哪一个？请回复编号，都不是请回复 0。",
            "abandoned": "We are sorry: nobody is free at the moment. Please try again later.",
            "satisfaction_request": "How did we do? Please answer with a number from 1 (bad) to 5 (very good). \
                                     请用 1 到 5 为本次服务评分。",
            "satisfaction_thanks": "Thank you for your rating! 感谢您的评价！",
        },
        "queues": ["support", "sales"],
        "dispositions": ["solved", "not_solved", "spam"],
        "merge_contacts_by": ["email", "phone"],
    })
}
