// Shows what running experiments log: asks for the page again, and puts the parts that changed in the place of the old
// ones. What a reader unfolded stays so, and nothing changes under a selection.
"use strict";
(() => {
  const root = document.body;
  const table = document.getElementById("experiments");

  // A table that a reader sorted, filtered or scrolled is left alone.
  const inUse = () =>
    document.getElementById("filter").value || table.querySelector("[aria-sort]") || table.parentElement.scrollTop;

  const isSelected = (part) => {
    const selection = document.getSelection();
    return !selection.isCollapsed && selection.containsNode(part, true);
  };

  const put = (page) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const found = page.getElementById(part.id);
      if (found && !isSelected(part) && found.innerHTML !== part.innerHTML) part.replaceChildren(...found.childNodes);
    }
    root.dataset.refresh = page.body.dataset.refresh ?? "";
  };

  const again = async () => {
    const reply = await fetch(location.pathname, { cache: "no-store" });
    if (reply.status === 401) location.reload(); // the login has ended
    else if (reply.ok) put(new DOMParser().parseFromString(await reply.text(), "text/html"));
  };

  const look = async () => {
    try {
      if (document.hidden) return;
      if (!table) await again();
      else if (!inUse()) location.reload();
    } catch {
      // The server is away: it is asked again.
    } finally {
      wait();
    }
  };

  const wait = () => {
    const seconds = Number(root.dataset.refresh);
    if (seconds) setTimeout(look, 1000 * seconds);
  };

  wait();
})();
