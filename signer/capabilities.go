package signer

import "time"

// Capabilities are what a Signer, as it is configured, can hold the holder of a URL to. What it cannot is ErrUnsupported when it is
// asked for, or with BestEffort named in NotEnforced.
type Capabilities struct {
	// Backend is the package that signs: "s3", "gcs", "oss", "azure" or "cdn".
	Backend string

	// Methods are those that a URL can be for; nil means every method.
	Methods []string

	// ContentType, ContentLength and Checksum report whether an upload can be held to a header Content-Type, Content-Length and
	// Content-MD5 of Request.Header.
	ContentType, ContentLength, Checksum bool

	// Query reports whether any parameter can be signed; some are even where it is false (Azure: snapshot, versionid).
	Query bool

	// Response are the fields of ResponseHeaders that can be set, by their names.
	Response []string

	// SourceIP reports whether a URL can be for some addresses only (Azure: IPv4).
	SourceIP bool

	// NotBefore reports whether a URL has a start.
	NotBefore bool

	// MaxExpires is the longest life of a URL, Window and Expires together; 0 means that there is no limit. Credentials can
	// end before it.
	MaxExpires time.Duration

	// Prefix reports whether one signature can be for all names with one beginning, by a method of the backend (cdn: PresignPrefix,
	// azure: SAS).
	Prefix bool

	// Post reports whether there are forms, by PresignPost.
	Post bool
}

// A Capable tells what it can do. The Signers of all backends are; find it behind wrappers with As, but not
// behind Restrict, whose Signer does not tell: ask the one that is restricted.
type Capable interface {
	Capabilities() Capabilities
}
