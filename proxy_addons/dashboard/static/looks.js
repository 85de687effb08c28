// Before the first paint: the colours and the language that were chosen here, so that nothing flashes. No module, as
// modules run only when the document is there.
"use strict";
(() => {
  const kept = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage is forbidden: what the browser says then
    }
  };
  const root = document.documentElement;
  const theme = kept("stores.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const wished = [kept("stores.language"), ...navigator.languages].map((one) => (one ?? "").slice(0, 2));
  root.lang = wished.find((one) => one === "en" || one === "ja") ?? "en";
})();
