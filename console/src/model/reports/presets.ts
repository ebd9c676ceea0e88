// Which figures each page shows. A chart tells of the bot or of people, never of both: a test holds that.

import type { Dimension } from '../../api/types';

export const PARTS = ['overview', 'queues', 'agents', 'bot'] as const;
export type Part = (typeof PARTS)[number];

export interface Chart {
  name: 'sessions' | 'waits' | 'level' | 'questions' | 'shares';
  /** All of one unit; the first one is compared with what was before. */
  metrics: string[];
}

export interface Breakdown {
  by: Exclude<Dimension, 'all'>;
  metrics: string[];
  /** A count: whatever has most of it is drawn. */
  main: string;
}

export const OVERVIEW_TILES = {
  all: ['sessions_opened', 'sessions_closed', 'backlog_change', 'handoffs', 'reopen_rate'],
  people: [
    'waits',
    'service_level',
    'asa',
    'wait_p90',
    'abandonment',
    'frt_mean',
    'sla_met',
    'handled',
    'aht',
    'occupancy',
    'transfer_rate',
    'fcr',
    'csat',
    'rating_mean',
  ],
  bot: ['interception_rate', 'bot_answer_rate', 'questions_asked', 'questions_unanswered', 'helpful_rate'],
} as const;

export const OVERVIEW_CHARTS: Chart[] = [
  { name: 'sessions', metrics: ['sessions_opened', 'sessions_closed'] },
  { name: 'waits', metrics: ['wait_p90', 'asa'] },
  { name: 'level', metrics: ['service_level'] },
];

export const BOT_TILES = [
  'interception_rate',
  'containment_rate',
  'questions_asked',
  'bot_answer_rate',
  'faq_coverage',
  'questions_unanswered',
  'answer_confidence',
  'helpful_rate',
  'adoption_rate',
  'bot_response_mean',
  'bot_answer_p90',
  'messages_from_bot',
];

export const BOT_CHARTS: Chart[] = [
  { name: 'questions', metrics: ['questions_asked', 'answers_given', 'questions_unanswered'] },
  { name: 'shares', metrics: ['bot_answer_rate', 'interception_rate'] },
];

export const QUEUES: Breakdown = {
  by: 'queue',
  main: 'waits',
  metrics: [
    'waits',
    'service_level',
    'asa',
    'wait_p90',
    'abandonment',
    'frt_mean',
    'handled',
    'aht',
    'transfer_rate',
    'csat',
  ],
};

export const AGENTS: Breakdown = {
  by: 'agent',
  main: 'handled',
  metrics: [
    'handled',
    'aht',
    'acw_mean',
    'frt_mean',
    'nrt_mean',
    'occupancy',
    'concurrency',
    'offer_acceptance',
    'transfer_rate',
    'csat',
  ],
};

export const INTENTS: Breakdown = {
  by: 'intent',
  main: 'answers_given',
  metrics: ['answers_given', 'answer_confidence', 'helpful_rate', 'interception_rate', 'containment_rate'],
};

export const ENTRIES: Breakdown = {
  by: 'entry',
  main: 'answers_given',
  metrics: ['answers_given', 'answer_confidence', 'helpful_rate', 'adoption_rate', 'bot_answer_p90'],
};
