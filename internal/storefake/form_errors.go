package storefake

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudsigner/cloudsigner/internal/policy"
	"github.com/cloudsigner/cloudsigner/signer"
)

// This file puts what a Verifier says of a form into the providers' words.

// policyFault says which condition of its policy a form does not meet, as S3 and OSS do.
func policyFault(err error) string {
	var unmet *policy.Unmet
	switch {
	case errors.Is(err, signer.ErrExpired):
		return "Invalid according to Policy: Policy expired."
	case !errors.As(err, &unmet):
		return "Invalid according to Policy: " + err.Error()
	case unmet.Condition == "":
		return "Invalid according to Policy: Extra input fields: " + unmet.Field
	}
	return "Invalid according to Policy: Policy Condition failed: " + unmet.Condition
}

func formFaultS3(form refusedForm, e *signer.Error) *fault {
	f := &fault{status: 403, Code: e.Code, Message: e.Error()}
	switch {
	case e.Code == "SignatureDoesNotMatch":
		f.Message = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
		toSign := form.form.field("policy")
		f.with("AWSAccessKeyId", keyOf(form.form.field("x-amz-credential"))).with("StringToSign", toSign)
		f.with("SignatureProvided", form.form.field("x-amz-signature")).with("StringToSignBytes", spaced([]byte(toSign)))
	case e.Code == "InvalidAccessKeyId":
		f.Message = "The AWS Access Key Id you provided does not exist in our records."
		f.with("AWSAccessKeyId", keyOf(form.form.field("x-amz-credential")))
	case errors.Is(e, signer.ErrPolicy), errors.Is(e, signer.ErrExpired) && e.Code == "AccessDenied":
		f.Message = policyFault(e)
	case e.Code == "ExpiredToken":
		f.status, f.Message = 400, "The provided token has expired."
	case e.Code == "InvalidToken":
		f.status, f.Message = 400, "The provided token is malformed or otherwise invalid."
	case e.Code == "InvalidPolicyDocument":
		f.status, f.Message = 400, "Invalid Policy: "+e.Error()
	case e.Code == "InvalidArgument":
		f.status = 400
		if value := form.form.field(e.Field); value == "" {
			f.Message = "Bucket POST must contain a field named '" + e.Field + "'.  If it is specified, please check the order of the fields."
		}
		f.with("ArgumentName", e.Field)
	}
	return f
}

func formFaultGCS(form refusedForm, e *signer.Error) *fault {
	f := &fault{status: 400, Code: e.Code, Message: "Invalid argument."}
	switch {
	case e.Code == "SignatureDoesNotMatch":
		f.status, f.Message = 403, "Access denied."
		return f.with("StringToSign", form.form.field("policy"))
	case errors.Is(e, signer.ErrPolicy):
		f.Message = "The content of the form does not meet the conditions specified in the policy document."
		return f.with("Details", strings.TrimPrefix(policyFault(e), "Invalid according to Policy: "))
	case e.Code == "InvalidPolicyDocument":
		f.Message = "The policy document is not valid."
	case e.Code == "ExpiredToken":
		f.Message = "The provided token has expired."
	case e.Code == "AccessDenied", e.Code == "RequestTimeTooSkewed":
		f.status, f.Message = 403, "Access denied."
	}
	return f.with("Details", e.Error())
}

func formFaultOSS(form refusedForm, e *signer.Error) *ossFault {
	f := &ossFault{fault: &fault{status: 400, Code: "InvalidArgument", Message: e.Error()}}
	if strings.HasPrefix(e.Code, "0002-") || strings.HasPrefix(e.Code, "0006-") {
		f.ec = e.Code
	}
	id := keyOf(form.form.field("x-oss-credential"))
	switch {
	case errors.Is(e, signer.ErrPolicy), f.ec == "0006-00000213":
		f.status, f.Code, f.Message = 403, "AccessDenied", policyFault(e)
	case f.ec == "0006-00000201":
		f.Code, f.Message = "InvalidPolicyDocument", "Invalid Policy: "+e.Error()
	case errors.Is(e, signer.ErrMismatch) && f.ec != "":
		f.status, f.Code = 403, "SignatureDoesNotMatch"
		f.Message = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
		toSign := form.form.field("policy")
		f.with("OSSAccessKeyId", id).with("SignatureProvided", form.form.field("x-oss-signature"))
		f.with("StringToSign", toSign).with("StringToSignBytes", fmt.Sprintf("% X", toSign))
	case e.Code == "InvalidAccessKeyId" && errors.Is(e, signer.ErrExpired):
		f.status, f.Code, f.Message = 403, "SecurityTokenExpired", "The security token you provided has expired."
	case e.Code == "InvalidAccessKeyId":
		f.status, f.Code, f.Message = 403, e.Code, "The OSS Access Key Id you provided does not exist in our records."
		f.with("OSSAccessKeyId", id)
	case errors.Is(e, signer.ErrNotYetValid), errors.Is(e, signer.ErrExpired), errors.Is(e, signer.ErrUnsigned):
		f.status, f.Code = 403, "AccessDenied"
	case f.ec == "0002-00000715":
		f.Message = "The signing region in credential is invalid."
		f.with("ArgumentName", "x-oss-credential").with("ArgumentValue", form.form.field("x-oss-credential"))
	}
	return f
}

// keyOf is the id of the key in a credential.
func keyOf(credential string) string {
	id, _, _ := strings.Cut(credential, "/")
	return id
}
