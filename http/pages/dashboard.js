'use strict';
// Every page is whole without this. While nobody types or chooses and the page is seen, <main> is fetched anew.
const place = document.getElementById('live');
const button = document.createElement('button');
let paused = false, following = null;

function label() {
  button.textContent = paused ? 'Resume updates' : 'Pause updates';
  button.setAttribute('aria-pressed', paused);
}
button.addEventListener('click', () => { paused = !paused; label(); });
label();
place.append(button);

function busy(main) {
  return 'still' in main.dataset || main.contains(document.activeElement) || main.querySelector('input:checked') ||
    !document.getSelection().isCollapsed;
}

async function renew(now) {
  const main = document.querySelector('main');
  if (!now && (paused || document.hidden || busy(main))) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
    const current = document.querySelector('main');
    if (now || (!paused && !busy(current))) current.replaceWith(fresh);
    place.title = '';
    follow();
  } catch (error) {
    place.title = 'Not updated: ' + error.message;
  }
}
setInterval(renew, 5000);

// A document on its way tells of itself as it goes.
function follow() {
  const job = document.querySelector('[data-events]');
  if (!job || following) return;
  following = new EventSource(job.dataset.events);
  const tell = (event) => {
    const state = JSON.parse(event.data);
    const bar = document.querySelector('progress'), text = document.getElementById('stage');
    if (bar) bar.value = state.progress;
    if (text) text.textContent = [...new Set([state.status, state.current_stage, state.progress + ' %'])].filter(Boolean).join(', ');
    if (state.status === 'completed' || state.status === 'failed') {
      following.close();
      renew(true);
    }
  };
  following.addEventListener('state', tell);
  following.addEventListener('progress', tell);
}
follow();
