// Requests to the server that the page came from. Every error has the server's code and words.

import type {
  AgentSummary,
  AnyEvent,
  CommandResult,
  ConversationSummary,
  Fields,
  FileRef,
  LoggedCommit,
  Me,
  Page,
  WallThen,
} from './types';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly permission?: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | boolean | undefined | null>;

const BASE = '/api/v1/';
let onSignedOut: () => void = () => {};

/** Called when the server says that nobody is signed in any more. */
export function whenSignedOut(callback: () => void): void {
  onSignedOut = callback;
}

export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== '',
  );
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return BASE + path + (search ? `?${search}` : '');
}

async function send(method: string, url: string, body?: BodyInit, type?: string): Promise<unknown> {
  // A page of another site cannot set this header: it shows the server that the request is the console's own.
  const headers: Record<string, string> = { 'X-Kefu-Request': '1' };
  if (type) headers['Content-Type'] = type;
  let response: Response;
  try {
    response = await fetch(url, { method, headers, body, credentials: 'same-origin' });
  } catch {
    throw new ApiError(0, 'offline', 'the server cannot be reached');
  }
  const text = await response.text();
  let answer: unknown = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = null;
  }
  // A refused command is an answer, not a failure of the request.
  if (response.ok || (response.status === 409 && isResult(answer))) return answer;
  const error = (answer as { error?: { code?: string; message?: string; permission?: string } } | null)
    ?.error;
  if (response.status === 401 && !url.endsWith('/session')) onSignedOut();
  throw new ApiError(
    response.status,
    error?.code ?? `http_${response.status}`,
    error?.message ?? `the server answered ${response.status}`,
    error?.permission,
  );
}

function isResult(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'ok' in answer;
}

const json = 'application/json';
export const get = <T>(path: string, query?: Query) => send('GET', address(path, query)) as Promise<T>;
export const post = <T>(path: string, body: unknown) =>
  send('POST', address(path), JSON.stringify(body), json) as Promise<T>;
export const remove = <T>(path: string) => send('DELETE', address(path)) as Promise<T>;

export const setUp = (code: string, user: string, name: string, password: string) =>
  post<Me>('setup', { code, user, name, password });
export const signIn = (tenant: string, user: string, password: string) =>
  post<Me>('session', { tenant, user, password });
/** Where one can sign in at a provider, if the server names one. */
export const provider = () => get<{ issuer: string | null; login: string | null }>('oidc');
export const me = () => get<Me>('session');
export const signOut = () => remove<null>('session');

const part = encodeURIComponent;

export const conversations = (inbox: string, after?: string) =>
  get<Page<ConversationSummary>>('conversations', { inbox, after, limit: 50 });

export async function summary(key: string): Promise<ConversationSummary> {
  return (await get<{ summary: ConversationSummary }>(`conversations/${part(key)}`)).summary;
}

export const commits = (of: string, key: string, query: Query) =>
  get<Page<LoggedCommit>>(`${of}/${part(key)}/commits`, query);

/** Every page of a list, for lists that a tenant has at most some hundreds of. */
export async function everything<T>(path: string, query: Query = {}): Promise<T[]> {
  const items: T[] = [];
  let after: string | undefined;
  do {
    const page: Page<T> = await get<Page<T>>(path, { ...query, after, limit: 200 });
    items.push(...page.items);
    after = page.next ?? undefined;
  } while (after && items.length < 2000);
  return items;
}

/** The wall as it was at a moment; as it is, if none is named. */
export const wall = (at?: string, limit?: number) => get<WallThen>('wall', { at, limit });

export const agents = () => everything<AgentSummary>('agents');

export const commandOver = (path: string, command: Fields, expected_version?: number) =>
  post<CommandResult>(`${path}/commands`, {
    expected_version,
    command: { v: 1, ...command } as unknown as AnyEvent,
  });

export const fileUrl = (object: string) => `${BASE}files/${part(object)}`;

export async function upload(file: Blob, name: string): Promise<FileRef> {
  const type = file.type || 'application/octet-stream';
  return (await send('POST', address('files', { name }), file, type)) as FileRef;
}
