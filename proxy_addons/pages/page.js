// The page is whole without this. With it, the service's output goes on while one reads, and the page is asked for again
// as soon as there is something else to say.
"use strict";
(() => {
  const page = document.body.dataset;
  const log = document.querySelector(".lines"); // what scrolls it stays at the end by itself (fallback.css)
  const mostLines = 500;

  function line(spans) {
    const shown = document.createElement("span");
    shown.className = "line";
    for (const [text, style] of spans) {
      const part = document.createElement("span");
      part.textContent = text;
      part.className = style;
      shown.append(part);
    }
    shown.append("\n");
    return shown;
  }

  // What a form sent must not be sent again without being asked: only the page of a GET is loaded anew.
  function changed(answers) {
    if (page.method === "GET") {
      events.close();
      location.reload();
    } else if (answers) {
      events.close();
      document.getElementById("answers").hidden = false;
    }
  }

  const events = new EventSource(page.events);
  events.addEventListener("state", (event) => {
    const now = JSON.parse(event.data);
    if (now.state !== page.state) changed(now.answers);
  });
  events.addEventListener("begin", () => log.replaceChildren());
  events.addEventListener("log", (event) => {
    log.append(...JSON.parse(event.data).map(line));
    while (log.childElementCount > mostLines) log.firstElementChild.remove();
    log.closest("section").hidden = false;
  });
  addEventListener("pagehide", () => events.close());
})();
