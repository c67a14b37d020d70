package signertest

// rules returns the contract, sentence by sentence. Names are stable: they select subtests.
func rules() []rule {
	return []rule{
		// One instant, one result.
		{"clock-read-once", "a Signer reads its clock once per call; every timestamp, scope date and expiry comes from that instant. So does a Verifier.", clockReadOnce},
		{"clock-learned", "a clock.Learned is asked with Read, its correction is reported in Presigned.ClockOffset, and a Verifier refuses such a clock: what a server says must not decide what we accept.", clockLearned},
		{"time-zone", "an instant is the same in every time zone: the zone of the clock's Time changes no byte.", timeZone},
		{"deterministic", "at one instant, one request has one signature, in every Signer with the same configuration.", deterministic},
		{"independent", "what a Signer signed before changes nothing: whatever that was, it signs as a Signer that has signed nothing.", independent},
		{"concurrent", "Signers and Verifiers are safe for concurrent use, from their first call on.", concurrent},
		{"context", "under a cancelled context an operation still returns a result or an error, and does not panic.", contextCancelled},
		{"capabilities", "every Signer is a RequestPresigner, a RequestSigner if its scheme has header signatures, and As finds both behind wrappers with Unwrap.", capabilities},

		// What is asked for.
		{"every-field", "a Signer never drops what it was asked for: each field of a Request changes the result, or is an error.", everyField},
		{"unsupported", "what the scheme cannot put under the signature is ErrUnsupported, or with BestEffort is sent and named in NotEnforced.", unsupported},
		{"parameters-exact", "the URL's parameters are exactly the scheme's, each once, and the caller's, with their values; a space is %20 and never a plus.", parametersExact},
		{"scheme-parameters", "in a Request, parameters and headers that belong to a signature of any scheme, in any spelling, are ErrRequest.", schemeParameters},
		{"methods", "a URL allows the method that was asked for, as narrowly as the scheme can; \"\" means GET, and what is no method is ErrRequest.", methods},
		{"keys", "any valid UTF-8 without NUL is a key, never percent-encoded by the caller; the grant gives back the same bucket, key and parameters.", keys},
		{"keys-refused", "a key with a NUL, with invalid UTF-8, or with a segment \".\" or \"..\" (clients rewrite such paths) is ErrRequest; so is an empty one with a method that writes.", keysRefused},
		{"buckets-refused", "a bucket holds none of / \\ ? # @ : % and no control character: it would become another host or path. That is ErrRequest.", bucketsRefused},
		{"control-characters", "no header name or value, query name or value, or override holds a character below 0x20 or 0x7f: with one, a value could pass for two. That is ErrRequest.", controlCharacters},
		{"headers", "Presigned.Method, URL and Header are all that the holder needs: the headers asked for are in Header and signed, and a request made of the three is accepted.", headers},
		{"overrides", "an override of the answer's headers is in the URL and under the signature.", overrides},

		// What belongs to the caller stays as it is.
		{"request-unchanged", "a Signer does not change or keep Request.Query and Header, whether it succeeds or fails, and returns nothing beside an error.", requestUnchanged},
		{"result-owned", "a Presigned shares no memory with the request: changing one does not change the other.", resultOwned},
		{"http-request-unchanged", "PresignRequest does not change its request, and Sign changes nothing but Header and Host, and on an error nothing at all.", httpRequestUnchanged},
		{"body-unread", "signing does not read the body.", bodyUnread},
		{"wire-bytes-kept", "PresignRequest keeps the URL's bytes, escapes and order and dot segments included, and adds the signature's parameters.", wireBytesKept},
		{"request-headers-signed", "PresignRequest and Sign cover the headers of the request, but none of those that change on the way.", requestHeadersSigned},
		{"resign-replaces", "a signature of the same scheme is replaced, all of its parameters and the token with it.", resignReplaces},
		{"foreign-conflict", "a signature of another scheme, or of the same one in the other form, is ErrConflict: services refuse two.", foreignConflict},

		// How long it lives.
		{"expires-positive", "Expires is required: zero and negative are ErrLifetime.", expiresPositive},
		{"expires-maximum", "more than the scheme's maximum is ErrLifetime, the maximum itself is not.", expiresMaximum},
		{"expires-honest", "Expires is the least that the URL works, counted from now cut to the second; fractions round up, and ExpiresAt says the truth.", expiresHonest},
		{"allow-shorter", "with AllowShorter a URL above the maximum lives for the maximum, limited by LimitScheme.", allowShorter},
		{"backdate", "a URL starts Backdate before now and still ends when it was to end; at the scheme's maximum Backdate shrinks first, to nothing if need be.", backdates},
		{"window", "calls within one window (a multiple of Window since 1970) return the same bytes from every Signer, until StableUntil and not at it; the URL lives Window plus Expires from the window's start.", window},
		{"window-valid", "a Window is whole seconds, at least one and at most half of Expires, and counts against the maximum; anything else is ErrLifetime.", windowValid},
		{"spread", "Spread shifts the window by a hash of bucket and key, the same in every Signer; without a Window it is ErrRequest.", spread},
		{"credentials-die", "a URL does not outlive its credentials: those that die before now plus Expires are ErrCredentials, or with AllowShorter cut the end (LimitCredentials); later ones cut what a Window adds; dead ones are never used.", credentialsEnd},
		{"credentials-required", "no credentials is an error, never an unsigned request.", credentialsRequired},
		{"rotation", "a secret that rotates under the same key id signs with the new one at once, and verifiers refuse what the old one signed.", rotation},

		// What a Verifier makes of it.
		{"accepted-in-time", "a URL works from NotBefore until just before ExpiresAt, however long that is, and not at it; no leeway extends the end.", acceptedInTime},
		{"accepted-early", "the Leeway is how early a URL may be used: before NotBefore less the Leeway it is ErrNotYetValid.", acceptedEarly},
		{"grant", "a Grant gives method, bucket, key, parameters, times and headers as they were signed, and a fingerprint of its own for each signature.", grant},
		{"grant-wire-path", "path and query are those of RequestURI, as they came over the wire, or URL's if there is none; the Grant is decoded from the bytes that were verified.", grantWirePath},
		{"verify-unchanged", "a Verifier does not change the request and does not read its body.", verifyUnchanged},
		{"unsigned", "a request that shows no signature of the scheme is ErrUnsigned, so that AnyOf can ask the next Verifier.", unsigned},
		{"tampering", "a URL with one thing changed is refused: a parameter removed, doubled, respelt or changed, any byte of the path, the method, the host, a header.", tampering},
		{"vendor-headers", "every x-amz-, x-goog- and x-oss- header that is there must be signed: x-amz-copy-source on a signed PUT would read any object.", vendorHeaders},
		{"one-signature", "a request with two signatures is refused, in whatever forms and schemes.", oneSignature},
		{"forgeries", "a signature that fits is not enough: scope, day, token and signed headers must be those of this service and key.", forgeries},
		{"dead-credentials", "a Verifier refuses what dead credentials signed.", deadCredentials},

		// Signatures in the header.
		{"sign-accepted", "a request signed in its header is accepted, with its method, path, parameters and headers in the Grant.", signAccepted},
		{"sign-date", "Sign dates a request now, never earlier, and a date more than the Leeway off is refused, early or late.", signDate},
		{"sign-tampering", "a signed request with one thing changed is refused: any byte of Authorization, of the path and the query, the method, the host, a header.", signTampering},
		{"sign-body", "where the hash of a body is signed, Grant.Body fails with ErrMismatch at the end of another one.", signBody},

		// What nobody may see.
		{"secrets", "no secret, signature or query string is printed: not in an error, not by any verb of a Signer, a Verifier or a Presigned.", secrets},
	}
}
