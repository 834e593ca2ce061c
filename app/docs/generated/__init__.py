"""The reference pages that are made of the code: each module gives Markdown for one page."""
