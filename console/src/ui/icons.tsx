// Line drawings, 16 by 16. They stand beside words or have a label on their button, so they are hidden from readers.

const paths = {
  inbox: 'M2 9l2-6h8l2 6v4H2zM2 9h3.500l1 2h3l1-2H14',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.700 10.700 14 14',
  wall: 'M2 13V8M6 13V3M10 13V6M14 13V9',
  chart: 'M2 2v12h12M4.500 10.500 7.500 7l2.500 2L14 4',
  down: 'M4 6l4 4 4-4',
  up: 'M4 10l4-4 4 4',
  left: 'M10 4 6 8l4 4',
  right: 'M6 4l4 4-4 4',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.500V11M8 5h.01',
  book: 'M3 2.500h8.500a1 1 0 0 1 1 1V13H4.500A1.500 1.500 0 0 1 3 11.500zM3 11.500A1.500 1.500 0 0 1 4.500 10h8',
  gear: 'M8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM8 1.500v2M8 12.500v2M1.500 8h2M12.500 8h2M3.400 3.400l1.400 1.400M11.200 11.200l1.400 1.400M3.400 12.600l1.400-1.400M11.200 4.800l1.400-1.400',
  send: 'M2 8l12-5-4 11-2.500-4.500zM7.500 9.500 14 3',
  clip: 'M11 5.500 6.500 10a1.400 1.400 0 0 0 2 2l5-5A2.800 2.800 0 0 0 9.500 3l-5 5a4.200 4.200 0 0 0 6 6',
  note: 'M3 2.500h10v7l-4 4H3zM13 9.500H9v4',
  back: 'M10 3 5 8l5 5',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.500 6.500 12 13 4.500',
  checks: 'M1 8.500 4.500 12 10 5M8 11l1 1 6-7',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.500V8l2.500 1.500',
  person: 'M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.500 14a5.500 5.500 0 0 1 11 0',
  bulb: 'M6 12h4M6.500 14h3M8 2a4 4 0 0 0-2 7.400V11h4V9.400A4 4 0 0 0 8 2z',
  more: 'M3 8h.01M8 8h.01M13 8h.01',
  history: 'M2.500 8A5.500 5.500 0 1 0 4 4.200L2.500 5.500M2.500 2.500v3h3M8 5v3l2 1.500',
  why: 'M6 6a2 2 0 1 1 2.800 1.800c-.5.2-.8.6-.8 1.200M8 11.500h.01M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z',
  bolt: 'M9 1.500 3.500 9H8l-1 5.500L12.500 7H8z',
  file: 'M4 1.500h5.500L12.500 4.500v10H4zM9.500 1.500v3h3',
  warn: 'M8 2 1.500 13.500h13zM8 6.500v3.500M8 12h.01',
  command:
    'M5.500 5.500h5v5h-5zM5.500 5.500V4A1.750 1.750 0 1 0 3.750 5.500zM10.500 5.500h1.750A1.750 1.750 0 1 0 10.500 3.750zM10.500 10.500v1.750a1.750 1.750 0 1 0 1.750-1.750zM5.500 10.500H3.750a1.750 1.750 0 1 0 1.750 1.750z',
  bot: 'M3 6h10v7H3zM8 6V3M6 9h.01M10 9h.01M1.500 9v2M14.500 9v2',
  star: 'M8 2l1.800 3.900 4.200.5-3.100 2.900.8 4.200L8 11.400l-3.700 2.100.8-4.200L2 6.400l4.200-.5z',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
