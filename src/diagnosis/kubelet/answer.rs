//! Rows of what registries and their token services answer when they refuse: texts of the
//! distribution specification's error codes, of containerd (`core/remotes/docker`),
//! containers/image (`docker/errors.go`), the Docker engine, and of registries that have words of
//! their own. `failed to fetch oauth token` proves that a login was sent, `failed to fetch anonymous
//! token` that none was.

use super::rows::Mark::{Both, Ends, Named, Status, Words};
use super::rows::{Row, row};
use crate::diagnosis::Cause::*;

/// The registry says why it refuses.
pub(super) const REFUSED_FOR_A_REASON: &[Row] = &[
    row(
        &[BlockedByRegistry, AccessDenied],
        &[
            Status(412, 412),
            Status(451, 451),
            Words("quota has been exceeded"),
            Words("quota exceeded"),
            Words("quarantin"),
            Words("vulnerab"),
            Words("blocked by"),
            Words("is blocked in"),
            Words("was blocked"),
            Words("download blocked"),
            Words("due to policy"),
            Words("policy violation"),
            Words("content trust"),
            Words("client with ip*not allowed"),
            Words("ip address*not allowed"),
        ],
    ),
    row(
        &[Unauthorized, CredentialsRejected, CredentialsMissing],
        &[
            Words("have the needed permissions"),
            Words("you may have invalid credentials"),
            Words("server message: invalid_token"),
        ],
    ),
    row(
        &[CredentialsRejected, Unauthorized],
        &[
            Words("incorrect username or password"),
            Words("invalid username or password"),
            Words("invalid username/password"),
            Words("wrong username or password"),
            Words("bad username or password"),
            Words("authorization token has expired"),
            Words("token has expired"),
            Words("token is expired"),
            Words("token expired"),
            Words("expired token"),
            Words("security token included in the request"),
            Words("cannot be authenticated"),
            Words("bad credentials"),
            Words("invalid credentials"),
            Words("wrong credentials"),
            Words("http basic: access denied"),
            Words("account is locked"),
            Words("authentication failed"),
            Both("failed to fetch oauth token", 401, 401),
            Both("failed to fetch oauth token", 400, 400),
        ],
    ),
    row(
        &[CredentialsMissing, Unauthorized],
        &[
            Words("no basic auth credentials"),
            Words("missing username or secret"),
            Both("failed to fetch anonymous token", 401, 401),
        ],
    ),
    row(
        &[Unauthorized, CredentialsMissing, AbsentOrPrivate],
        &[Words("unauthenticated request"), Words("requests do not have permission")],
    ),
    row(
        &[AccessDenied, CredentialsRejected],
        &[
            Words("not authorized to perform"),
            Words("permission_denied"),
            Words("permission denied for"),
            Words("denied: permission denied"),
            Words("access forbidden"),
            Words("does not have permission to"),
            Words("insufficient permission"),
        ],
    ),
    row(
        &[AccessDenied, AbsentOrPrivate, CredentialsRejected],
        &[
            Words("permission*denied on resource"),
            Words("does not have*permission"),
            Words("caller does not have"),
            Both("failed to fetch oauth token", 403, 403),
        ],
    ),
    row(
        &[AccessDenied, AbsentOrPrivate, CredentialsMissing],
        &[Both("failed to fetch anonymous token", 403, 403)],
    ),
];

/// Absent and private look alike.
pub(super) const ABSENT_OR_PRIVATE: &[Row] = &[row(
    &[AbsentOrPrivate, RepositoryNotFound, Unauthorized],
    &[
        Words("pull access denied"),
        Words("does not exist or no pull access"),
        Words("does not exist or may require"),
        Words("insufficient_scope"),
        Words("insufficient scope"),
        Words("requested access to the resource is denied"),
    ],
)];

/// A repository, tag or part that is not there.
pub(super) const ABSENT: &[Row] = &[
    row(
        &[TagNotFound],
        &[
            Named("tag", "not found in repository"),
            Named("artifact", "not found"),
            Words("requested image not found"),
            Words("was deleted or has expired"),
            Words("manifest tagged by*not found"),
            Words("no such manifest"),
        ],
    ),
    row(
        &[RepositoryNotFound, AbsentOrPrivate],
        &[
            Words("name unknown"),
            Words("name_unknown"),
            Words("repository name not known"),
            Words("repository with name"),
            Named("repository", "not found"),
            Named("repository", "does not exist"),
            Words("repository not found"),
            Words("repository does not exist"),
            Words("no such repository"),
            Named("project", "not found"),
            Words("project not found"),
            Named("project", "does not exist"),
            Named("namespace", "not found"),
            Named("registry", "not found"),
            Words("registry does not exist"),
        ],
    ),
    row(
        &[TagNotFound, RepositoryNotFound],
        &[
            Words("manifest unknown"),
            Words("manifest_unknown"),
            Words("manifest is not known"),
            Named("manifest for", "not found"),
            Named("manifest", "not found"),
            Words("manifest not found"),
            Named("tag", "not found"),
            Named("tag", "does not exist"),
            Words("tag does not exist"),
            Words("unknown tag"),
        ],
    ),
    // The name was resolved, and something that it leads to is not there.
    row(&[CorruptImage, TagNotFound], &[Words("failed to copy*content at _ not found")]),
    row(
        &[RepositoryNotFound, TagNotFound],
        &[Both("trying to pull repository", 404, 404), Ends("unknown: not found")],
    ),
    row(&[RepositoryNotFound, BadAnswer], &[Words("parsing http 404 response body")]),
    row(
        &[TagNotFound, RepositoryNotFound, AbsentOrPrivate],
        &[
            Words("content at _ not found"),
            Words("resolve reference*: not found"),
            Words("resolve image*: not found"),
            Words("pull and unpack image*: not found"),
            Ends("_: not found"),
            Ends("_\": not found"),
            Status(404, 404),
            Words("code = notfound"),
        ],
    ),
    row(
        &[RepositoryNotFound, TagNotFound],
        &[
            Named("image", "not found"),
            Words("image not found"),
            Words("no such image"),
            Words("image does not exist"),
        ],
    ),
];

/// A refusal without a reason.
pub(super) const STATUS: &[Row] = &[
    row(
        &[Unauthorized, CredentialsMissing, CredentialsRejected],
        &[
            Status(401, 401),
            Words("unauthorized"),
            Words("authentication required"),
            Words("authorization failed"),
            Words("unauthenticated"),
            Words("login required"),
            Words("not logged in"),
            Words("authentication is required"),
            Words("access to the requested resource is not authorized"),
        ],
    ),
    row(
        &[AccessDenied, AbsentOrPrivate, CredentialsRejected],
        &[
            Status(403, 403),
            Words("forbidden"),
            Words("access denied"),
            Words("access is denied"),
            Words("denied:"),
            Words("\"denied\""),
            Words("error from registry: denied"),
            Ends(": denied"),
            Words("not allowed to"),
        ],
    ),
];

/// What is left: answers that are none of a registry, and a token that was not got.
pub(super) const REST: &[Row] = &[
    row(
        &[BadAnswer],
        &[
            Words("looking for beginning of value"),
            Words("failed to find supported auth scheme"),
            Words("unsupported auth scheme"),
            Words("malformed mime header"),
            Words("missing location header"),
            Words("redirects"),
            Words("invalid www-authenticate"),
            Words("no token in response"),
            Words("unexpected end of json input"),
            Words("unsupported protocol scheme"),
            Words("realm*parse"),
        ],
    ),
    row(&[RegistryError, BadAnswer], &[Status(400, 400), Status(405, 405), Status(409, 409)]),
    row(
        &[Unauthorized],
        &[
            Words("failed to authorize"),
            Words("failed to fetch oauth token"),
            Words("failed to fetch anonymous token"),
            Words("retrieve auth token"),
            Words("requesting bearer token"),
        ],
    ),
];
