// Build the page, show the last stage, and follow links into it: #stage=NAME and #fact=NAME.

function follow() {
  const [what, name] = decodeURIComponent(location.hash.slice(1)).split(/=(.*)/s);
  if (what === 'stage') {
    const at = D.stages.findIndex(([each]) => each === name);
    if (at >= 0) setStage(at, { quiet: true });
  } else if (what === 'fact') openFact(name);
}

setUpStageBar();
physicalMap();
virtualMap();
pageTables();
freeBlocks();
logSection();
factsSection();
setStage(D.stages.length - 1, { quiet: true });
follow();
window.addEventListener('hashchange', follow);
