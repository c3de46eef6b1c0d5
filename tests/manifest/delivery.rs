//! Values of charts, kustomizations, patches, the user's rules and guesses.

use std::sync::Arc;

use pullproof::image::usage::Source;
use pullproof::manifest::{
    Chart, Embedded, ExtractRule, Extraction, Extractor, PartKeys, SourceOptions, extract,
};
use tempfile::TempDir;

use super::{extraction, images, line_and_column, notes, written};

fn named(name: &str, text: &str) -> Extraction {
    with(&Extractor::default(), name, text)
}

fn with(extractor: &Extractor, name: &str, text: &str) -> Extraction {
    extractor.extract(&Arc::new(Source { name: name.into(), text: text.into() }), None)
}

/// Image, path, what is written at its place, whether it is a guess.
fn told(found: &Extraction) -> Vec<(&str, &str, &str, bool)> {
    let uses = found.uses.iter();
    uses.map(|one| (one.text.as_str(), one.site.path.as_str(), written(one), one.guess)).collect()
}

#[test]
fn values_are_joined_as_charts_join_them() {
    let text = "\
image: {registry: r.io, repository: a/b, tag: 1.10, digest: ''}
one: {image: {repository: one, tag: '1', digest: 'sha256:00'}}
two: {image: 'two:2', tag: ignored}
three: {image: three, tag: 3, registry: q.io}
four: {image: {name: four, version: v4}}
five: {imageRepository: five, imageTag: '5'}
mcImage: {repository: six, sha: abc}
sideImage: seven
sideTag: '7'
extra: [{name: x, image: 'r.io/eight:8'}]
";
    let found = named("a/values.yaml", text);
    assert_eq!(
        told(&found),
        [
            ("r.io/a/b:1.10", "image.tag", "1.10", false),
            ("one:1@sha256:00", "one.image.digest", "sha256:00", false),
            ("two:2", "two.image", "two:2", false),
            ("q.io/three:3", "three.tag", "3", false),
            ("four:v4", "four.image.version", "v4", false),
            ("five:5", "five.imageTag", "5", false),
            ("six@sha256:abc", "mcImage.sha", "abc", false),
            ("seven:7", "sideTag", "7", false),
            ("r.io/eight:8", "extra[0].image", "r.io/eight:8", false),
        ]
    );
    assert_eq!(notes(&found), ["numeric-tag"]);
    assert_eq!(found.uses[0].workload.object.kind, "HelmValues");
    assert!(named("a/other.yaml", text).uses.is_empty());
}

#[test]
fn what_is_said_once_for_all_images_counts() {
    let forced =
        "global: {imageRegistry: in.house}\nimage: {registry: r.io, repository: a, tag: '1'}\n";
    assert_eq!(images(&named("values.yaml", forced)), ["in.house/a:1"]);
    let istio = "global: {hub: r.io/istio, tag: '2', proxy: {image: proxyv2}}\npilot: {image: pilot, hub: '', tag: ''}\n";
    let found = named("values.yaml", istio);
    assert_eq!(images(&found), ["r.io/istio/proxyv2:2", "r.io/istio/pilot:2"]);
    assert!(found.uses.iter().all(|one| one.guess));
    let strimzi = "defaultImageRegistry: r.io\ndefaultImageRepository: s\ndefaultImageTag: '3'\n\
                   image: {registry: '', repository: '', name: op, tag: ''}\n\
                   kafka: {image: {repository: '', name: kafka, tagPrefix: ''}}\n";
    assert_eq!(told(&named("values.yaml", strimzi)), [("r.io/s/op:3", "image.name", "op", true)]);
}

#[test]
fn values_that_are_no_images_are_passed_over() {
    let text = "\
chart: {repository: 'https://charts.example/x', version: 1.2.3}
source: {repository: 'git@host:x/y', tag: v1}
image: '{{ .Values.other }}'
allowImage: true
templated: {image: {repository: r.io/a, tag: '{{ .Chart.AppVersion }}'}}
empty: {image: {registry: docker.io, repository: '', tag: ''}}
plain: {image: busy box}
word: {image: standalone}
";
    let found = named("values.yaml", text);
    assert_eq!((images(&found).len(), found.notes.len()), (0, 0), "{:?}", told(&found));
}

#[test]
fn an_image_without_a_tag_takes_the_version_of_its_chart() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("values.yaml", "image: {repository: r.io/a, tag: ''}\n");
    let inputs = [folder.path().to_str().unwrap().to_owned()];
    let found = extract(&inputs, &SourceOptions::default()).unwrap();
    assert_eq!((images(&found).len(), notes(&found)), (0, vec!["image-tag-unknown"]));
    write("Chart.yaml", "apiVersion: v2\nname: web\nappVersion: \"2.1\"\n");
    let found = extract(&inputs, &SourceOptions::default()).unwrap();
    assert_eq!(told(&found), [("r.io/a:2.1", "image.repository", "r.io/a", true)]);
    assert_eq!(found.uses[0].workload.object.name, "web");
    assert!(Chart::parse("a: [").is_none());
}

#[test]
fn kustomizations_set_names_tags_and_digests() {
    let text = "\
images:
- {name: a, newTag: '1'}
- {name: b, newName: r.io/b, newTag: v2}
- {name: c, newName: r.io/c}
- {name: d, digest: 'sha256:00'}
- {name: untouched}
- {name: e, newTag: '${TAG}'}
patches:
- patch: |-
    - op: replace
      path: /spec/template/spec/containers/0/image
      value: r.io/p:1
    - {op: test, path: /spec/x/image, value: 'r.io/test:1'}
- patch: |
    apiVersion: v1
    kind: Pod
    metadata: {name: in}
    spec:
      containers:
      - name: a
        image: r.io/q:1
- {path: other.yaml}
";
    let found = named("base/kustomization.yaml", text);
    assert_eq!(
        told(&found),
        [
            ("a:1", "images[0].newTag", "1", false),
            ("r.io/b:v2", "images[1].newTag", "v2", false),
            ("d@sha256:00", "images[3].digest", "sha256:00", false),
            ("r.io/p:1", "patches[0].patch[0].value", "r.io/p:1", false),
            ("r.io/q:1", "patches[1].patch.spec.containers[0].image", "r.io/q:1", false),
        ]
    );
    assert_eq!(found.uses[0].workload.object.kind, "Kustomization");
    assert_eq!(notes(&found), ["image-tag-unknown"]);
    assert_eq!(
        (line_and_column(&found.uses[3]), line_and_column(&found.uses[4])),
        ((12, 14), (21, 16))
    );
    assert_eq!(found.uses[4].workload.object.name, "in");
    assert!(named("base/other.yaml", text).uses.is_empty());
    let whole = format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{text}");
    assert_eq!(extraction(&whole).uses.len(), 5);
}

#[test]
fn patches_are_lists_of_operations() {
    let text = "\
- {op: replace, path: /spec/containers/0/image, value: 'a:1'}
- {op: add, path: /spec/containers/-, value: {name: b, image: 'b:1'}}
- {op: add, path: /spec/initContainers, value: [{name: c, image: 'c:1'}]}
- {op: replace, path: /spec, value: {template: {containers: [{name: d, image: 'd:1'}]}}}
- {op: remove, path: /spec/containers/1/image}
- {op: replace, path: /metadata/labels/x, value: 'e:1'}
- {op: replace, path: /spec/containers/0/image, value: $(IMAGE)}
";
    let found = extraction(text);
    assert_eq!(images(&found), ["a:1", "b:1", "c:1", "d:1"]);
    assert_eq!(found.uses[3].site.path, "[3].value.template.containers[0].image");
    let objects =
        "- {apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: a}]}}\n- x\n- [y]\n";
    assert_eq!(images(&extraction(objects)), ["a"]);
    assert_eq!(extraction("- 1\n- {op: add}\n").files, 0);
}

#[test]
fn rules_of_the_user_find_what_no_catalogue_knows() {
    let rule = |path: &str| ExtractRule {
        group: "acme.io".into(),
        kind: "Site".into(),
        path: path.into(),
        ..ExtractRule::default()
    };
    let parts =
        PartKeys { repository: "repo".into(), tag: "build.tag".into(), ..PartKeys::default() };
    let rules = vec![
        rule("spec.web"),
        rule("spec.jobs[].run"),
        rule("spec.**.pod"),
        ExtractRule { parts: Some(parts), ..rule("spec.split") },
        ExtractRule { embedded: Embedded::Yaml, ..rule("spec.manifest") },
        rule("spec.all"),
    ];
    let extractor = Extractor::with_rules(rules).unwrap();
    let text = "\
apiVersion: acme.io/v1
kind: Site
spec:
  web: r.io/web:1
  jobs: [{run: r.io/job:1}, {run: '$(x)'}, {run: {image: 'r.io/map:1'}}]
  deep: {er: {pod: {containers: [{image: 'r.io/pod:1'}], imagePullSecrets: [{name: s}]}}}
  split: {repo: r.io/split, build: {tag: '2'}}
  all: [r.io/x:1, r.io/y:1]
  manifest: |
    apiVersion: v1
    kind: Pod
    spec: {containers: [{name: a, image: r.io/in:1}]}
";
    let found = with(&extractor, "x.yaml", text);
    let all: Vec<_> = told(&found).into_iter().map(|(image, path, _, _)| (image, path)).collect();
    assert_eq!(
        all,
        [
            ("r.io/web:1", "spec.web"),
            ("r.io/job:1", "spec.jobs[0].run"),
            ("r.io/map:1", "spec.jobs[2].run.image"),
            ("r.io/pod:1", "spec.deep.er.pod.containers[0].image"),
            ("r.io/split:2", "spec.split.build.tag"),
            ("r.io/x:1", "spec.all[0]"),
            ("r.io/y:1", "spec.all[1]"),
            ("r.io/in:1", "spec.manifest.spec.containers[0].image"),
        ]
    );
    assert!(found.uses.iter().all(|one| one.text.contains(written(one))));
    assert!(with(&extractor, "x.yaml", &text.replace("acme.io", "other.io")).uses.is_empty());
    assert!(Extractor::with_rules(vec![rule("a..b")]).is_err());
}

#[test]
fn deep_guesses_are_marked_and_have_places() {
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, annotations: {x.io/proxyImage: 'proxy:1', url: 'r.io/not:1'}}
spec:
  template:
    spec:
      containers:
      - name: a
        image: r.io/a:1
        args: [--reloader=r.io/reloader:1, '--addr=localhost:8080', --image=busybox:1]
        env:
        - {name: RELATED_IMAGE, value: 'helper:2'}
        - {name: HOST, value: 'db:5432'}
        - name: KAFKA_IMAGES
          value: |
            4.2=r.io/kafka:4.2
            4.3=r.io/kafka:4.3
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data:
  pod.yaml: |
    kind: Pod
    spec: {containers: [{image: \"busy:1\"}]}
  text: see https://r.io/a/b:1 and host:80
  app.json: '{\"image\":\"q.io/j:1\"}'
";
    let found = with(&Extractor::default().deep(true), "x.yaml", text);
    let all: Vec<_> = found.uses.iter().map(|one| (one.text.as_str(), one.guess)).collect();
    assert_eq!(
        all,
        [
            ("proxy:1", true),
            ("r.io/a:1", false),
            ("r.io/reloader:1", true),
            ("busybox:1", true),
            ("helper:2", true),
            ("r.io/kafka:4.2", true),
            ("r.io/kafka:4.3", true),
            ("busy:1", true),
            ("q.io/j:1", true),
        ]
    );
    assert!(found.uses.iter().all(|one| written(one) == one.text));
    assert_eq!(line_and_column(&found.uses[6]), (17, 17));
    assert_eq!(extraction(text).uses.len(), 1);
}

#[test]
fn texts_of_applications_are_values() {
    let text = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
spec:
  source:
    kustomize: {images: [a=r.io/a:1, 'b=*:2']}
    helm:
      values: |
        image:
          repository: r.io/v
          tag: \"3\"
";
    assert_eq!(
        told(&extraction(text)),
        [
            ("r.io/a:1", "spec.source.kustomize.images[0]", "r.io/a:1", false),
            ("r.io/v:3", "spec.source.helm.values.image.tag", "3", false),
        ]
    );
}

#[test]
fn quoted_scalars_that_only_kubectl_reads_do_not_break_a_file() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    note: 'long\n  text'\nspec:\n  containers:\n  - {name: a, image: a:1}\n";
    let found = extraction(text);
    assert_eq!((images(&found), found.broken.len()), (vec!["a:1"], 0));
    assert_eq!(line_and_column(&found.uses[0]), (9, 22));
}
