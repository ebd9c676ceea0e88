// What a message says, one component per kind. Everything is text: nothing that a customer wrote becomes markup.

import { useState } from 'preact/hooks';
import { fileUrl } from '../api/http';
import type { Content, Fields, FileRef } from '../api/types';
import { bytes, t } from '../i18n';
import { Icon } from './icons';

export function ContentView({ content }: { content: Content }) {
  switch (content.kind) {
    case 'text':
    case 'edit':
      return <Text text={content.text} />;
    case 'image':
      return <Image file={content} />;
    case 'file':
      return <File file={content} />;
    case 'card':
      return <Card title={content.title} fields={content.fields} />;
    case 'event':
      return <Card title={content.name} fields={content.fields} small />;
    default:
      return <Unknown content={content} />;
  }
}

/** Text, with addresses made to links. Only http and https: another scheme could run something. */
function Text({ text }: { text: string }) {
  const pieces = text.split(/(https?:\/\/[^\s<>"'，。；、）】]*[^\s<>"'，。；、）】.,;:!?)])/g);
  return (
    <p class="text">
      {pieces.map((piece, index) =>
        index % 2 === 1 ? (
          <a key={index} href={piece} target="_blank" rel="noopener noreferrer">
            {piece}
          </a>
        ) : (
          piece
        ),
      )}
    </p>
  );
}

/** Types that the server hands out to be shown; anything else is a file to be saved. */
const SHOWN = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'];

function Image({ file }: { file: FileRef }) {
  const [broken, setBroken] = useState(false);
  if (broken || !SHOWN.includes(file.mime)) return <File file={file} />;
  return (
    <a class="image" href={fileUrl(file.object)} target="_blank" rel="noopener noreferrer">
      <img src={fileUrl(file.object)} alt={file.name} loading="lazy" onError={() => setBroken(true)} />
    </a>
  );
}

function File({ file }: { file: FileRef }) {
  return (
    <a class="file" href={fileUrl(file.object)} download={file.name}>
      <Icon name="file" />
      <span class="file-name">{file.name}</span>
      <span class="muted">{bytes(file.size)}</span>
    </a>
  );
}

function Card({ title, fields, small }: { title: string; fields?: Fields; small?: boolean }) {
  const entries = Object.entries(fields ?? {});
  return (
    <div class={small ? 'card-content small' : 'card-content'}>
      <strong>{title}</strong>
      {entries.length > 0 && <Facts fields={fields ?? {}} />}
    </div>
  );
}

/** Names and values. */
export function Facts({ fields }: { fields: Fields }) {
  return (
    <dl class="facts">
      {Object.entries(fields).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === 'string' ? value : JSON.stringify(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Unknown({ content }: { content: unknown }) {
  return (
    <details class="unknown">
      <summary>{t('content.unknown')}</summary>
      <pre>{JSON.stringify(content, null, 2)}</pre>
    </details>
  );
}
