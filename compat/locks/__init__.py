"""Lock files of the pairs: exact versions, hashes and sizes of their packages."""
