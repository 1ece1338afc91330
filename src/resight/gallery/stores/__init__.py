"""Stores of galleries: files of their own, PostgreSQL, Milvus; each is imported when it is used."""
