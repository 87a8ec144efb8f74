// Makes accessible what the theme adds to a page in the browser, where no template can reach it.

const content = document.querySelector(".md-content");

const mend = () => {
  // the buttons of a code block; as a <nav> each would be a landmark, all of the same name
  for (const buttons of content.querySelectorAll(".md-code__nav")) {
    buttons.setAttribute("role", "none");
  }
  // wide tables and code scroll, so the keyboard must reach them
  for (const box of content.querySelectorAll(".md-typeset__scrollwrap, pre > code")) {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
    }
  }
};

new MutationObserver(mend).observe(content, { childList: true, subtree: true });
addEventListener("resize", mend);
mend();
