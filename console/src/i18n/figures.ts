// Figures in their units, times where the tenant is, and the figures' names. The server's definitions are in English; here are
// their names in Chinese, and `test/figures.test.ts` fails where one is missing.

import type { ReportColumn, ReportStep, ReportUnit } from '../api/types';
import type { Change } from '../model/reports/series';
import { language } from '../state/prefs';
import { locale } from '.';

export const figuresZh: Record<string, string> = {
  sessions_opened: '新建会话',
  sessions_closed: '结束会话',
  backlog_change: '积压变化',
  resolution_mean: '平均解决时长',
  reopen_rate: '重开率',
  interception_rate: '机器人拦截率',
  containment_rate: '机器人独立接待率',
  questions_asked: '机器人提问数',
  bot_answer_rate: '机器人应答率',
  faq_coverage: '知识库覆盖率',
  questions_unanswered: '未答问题',
  answer_confidence: '平均置信度',
  answers_given: '机器人回答数',
  helpful_rate: '有帮助率',
  adoption_rate: '客服采纳率',
  bot_answer_p90: '机器人回答时长 p90',
  bot_response_mean: '机器人首次回复',
  handoffs: '转人工',
  waits: '结束的排队',
  asa: '平均应答速度（ASA）',
  wait_p50: '排队时长 p50',
  wait_p90: '排队时长 p90',
  wait_p99: '排队时长 p99',
  wait_open_mean: '营业时间内排队时长',
  service_level: '服务水平',
  abandonment: '放弃率',
  offers: '派单数',
  offer_acceptance: '接单率',
  frt_mean: '首次响应（FRT）',
  frt_p90: '首次响应 p90',
  frt_open_mean: '营业时间内首次响应',
  sla_met: 'SLA 达标率',
  sla_breached: 'SLA 未达标',
  nrt_mean: '后续响应',
  handled: '接待量',
  aht: '平均处理时长（AHT）',
  aht_p90: '处理时长 p90',
  talk_mean: '对话时长',
  hold_mean: '保持时长',
  acw_mean: '话后处理（ACW）',
  occupancy: '占用率',
  utilization: '利用率',
  concurrency: '并发会话',
  duty: '在岗时长',
  transfers: '转接数',
  transfer_rate: '转接率',
  consults: '求助数',
  fcr: '首次解决率',
  csat: '满意度（CSAT）',
  rating_mean: '平均评分',
  nps: '净推荐值（NPS）',
  rating_rate: '评价率',
  messages_from_customers: '客户消息数',
  messages_from_bot: '机器人回复数',
  messages_from_agents: '客服回复数',
};

/** A figure's name; the server's own, where it knows one more than this page does. */
export function figureName(of: Pick<ReportColumn, 'name' | 'label'>): string {
  return (language.value === 'zh' ? figuresZh[of.name] : undefined) ?? of.label;
}

function number(value: number, options: Intl.NumberFormatOptions): string {
  return new Intl.NumberFormat(locale(), options).format(value);
}

const UNITS = [
  { unit: 'millisecond', seconds: 0.001, until: 1 },
  { unit: 'second', seconds: 1, until: 120 },
  { unit: 'minute', seconds: 60, until: 7_200 },
  { unit: 'hour', seconds: 3_600, until: 172_800 },
  { unit: 'day', seconds: 86_400, until: Number.POSITIVE_INFINITY },
] as const;

/** Seconds as people say them: `7 ms`, `4.2 sec`, `35 min`, `1.5 hr`. */
export function seconds(value: number): string {
  const { unit, seconds: one } =
    UNITS.find(({ until }) => value !== 0 && Math.abs(value) < until) ?? UNITS[value === 0 ? 1 : 4];
  const many = value / one;
  const digits = unit !== 'millisecond' && Math.abs(many) < 10 ? 1 : 0;
  return number(many, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: digits });
}

/** A figure in its unit; a dash where there is nothing to tell. */
export function figureText(value: number | null | undefined, unit: ReportUnit): string {
  if (value === null || value === undefined) return '–';
  switch (unit) {
    case 'count':
      return number(value, { maximumFractionDigits: 0 });
    case 'share':
      return number(value, { style: 'percent', maximumFractionDigits: 1 });
    case 'seconds':
      return seconds(value);
    case 'score':
      return number(value, { maximumFractionDigits: 2 });
    case 'mean':
      return number(value, { maximumFractionDigits: 1 });
  }
}

/** How much a figure has changed: `+12%`, `−3.1 pp`. */
export function changeText(change: Change): string {
  const signed = { signDisplay: 'exceptZero', maximumFractionDigits: 1 } as const;
  switch (change.kind) {
    case 'relative': {
      const digits = Math.abs(change.by) < 0.1 ? 1 : 0;
      return number(change.by, { ...signed, style: 'percent', maximumFractionDigits: digits });
    }
    case 'points':
      return `${number(change.by, signed)} ${language.value === 'zh' ? '个百分点' : 'pp'}`;
    case 'difference':
      return number(change.by, { ...signed, maximumFractionDigits: 2 });
  }
}

function time(at: number, zone: string, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat(locale(), { timeZone: zone, ...options }).format(at);
}

const DAY = { day: 'numeric', month: 'short', year: 'numeric' } as const;
const CLOCK = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;

/** When a step of a series begins. */
export function stepText(at: number, step: ReportStep, zone: string): string {
  return time(at, zone, step === 'day' ? { weekday: 'short', ...DAY } : { ...DAY, ...CLOCK });
}

export const dayText = (at: number, zone: string) => time(at, zone, DAY);
export const momentText = (at: number, zone: string) => time(at, zone, { ...DAY, ...CLOCK });

/** What stands at an axis: the hour, the day, or the month, by how far apart they are. */
export function axisText(at: number, apart: number, zone: string): string {
  const clock = time(at, zone, CLOCK);
  if (apart < 86_400 && clock !== '00:00') return clock;
  return apart < 28 * 86_400
    ? time(at, zone, { day: 'numeric', month: 'short' })
    : time(at, zone, { month: 'short', year: 'numeric' });
}
