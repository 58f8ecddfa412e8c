"""Ways to certify a region. Each public module defines one method; a new method is one new file."""
