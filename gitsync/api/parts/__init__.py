"""Parts of specs: ``chart`` says where a release's chart comes from, ``actions`` how a release is installed, upgraded
and so on, ``rendering`` what goes into a rendering and what is done to it."""
