// schema: the tables of an index of atoms; docs/atoms.md tells what is in them.
#pragma once

namespace crate {

inline constexpr const char *index_format = "crate atoms", *index_version = "1";

inline constexpr const char* index_schema = R"(
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE token (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE site (name TEXT PRIMARY KEY, first INTEGER NOT NULL, atoms INTEGER NOT NULL);
CREATE TABLE document (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE corpus (chunk INTEGER PRIMARY KEY, tokens BLOB NOT NULL);
CREATE TABLE atom (
  id INTEGER PRIMARY KEY, density REAL, mean REAL, variance REAL, skewness REAL, kurtosis REAL, least REAL, most REAL,
  name TEXT NOT NULL, guess TEXT NOT NULL, kind TEXT NOT NULL, score REAL, p_value REAL, quantiles BLOB, histogram BLOB,
  logit_least REAL, logit_most REAL, logit_histogram BLOB);
CREATE TABLE context (
  atom INTEGER NOT NULL, kind TEXT NOT NULL, document INTEGER, held_out INTEGER, begin INTEGER, peak INTEGER, value REAL,
  quantile INTEGER, activations BLOB NOT NULL);
CREATE TABLE sample (row INTEGER PRIMARY KEY, document INTEGER, held_out INTEGER, begin INTEGER, length INTEGER);
CREATE TABLE sample_activation (atom INTEGER PRIMARY KEY, activations BLOB NOT NULL);
CREATE TABLE effect (atom INTEGER, place INTEGER, token INTEGER, value REAL, PRIMARY KEY (atom, place)) WITHOUT ROWID;
CREATE TABLE token_mean (
  atom INTEGER, place INTEGER, token INTEGER, mean REAL, count INTEGER, PRIMARY KEY (atom, place)) WITHOUT ROWID;
CREATE TABLE related (atom INTEGER, place INTEGER, other INTEGER, correlation REAL, PRIMARY KEY (atom, place)) WITHOUT ROWID;
CREATE TABLE concept (
  atom INTEGER, place INTEGER, feature TEXT, threshold REAL, f1_train REAL, f1 REAL, precision REAL, recall REAL,
  PRIMARY KEY (atom, place)) WITHOUT ROWID;
CREATE TABLE score (
  atom INTEGER, simulator TEXT, top_and_random REAL, random_only REAL, PRIMARY KEY (atom, simulator)) WITHOUT ROWID;
)";

inline constexpr const char* index_keys = R"(
CREATE INDEX context_by_atom ON context (atom, kind, value DESC);
CREATE INDEX atom_by_name ON atom (name);
)";

}  // namespace crate
