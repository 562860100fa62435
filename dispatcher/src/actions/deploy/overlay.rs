//! The overlay's actions: helpers, test definitions, their scripts, and the archive of it all.

use crate::{
    actions::StepRun,
    download,
    overlay::{FetchedDefinition, HostCommands, OverlayBuilder},
    run::{Context, Extra, context::no_overlay},
};
use job::{Fault, Namespace};
use plan::{
    Action,
    step::{Checksums, DefinitionSource, Download, LavaOverlay, ShellDefinition},
};

/// `lava-overlay`
pub fn create(
    step: &StepRun<'_>,
    overlay: &LavaOverlay,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = &step.action.namespace;
    let directory = context.make_directory(&step.action.name)?;
    context.log.debug(format!(
        "[{namespace}] Preparing overlay tarball in {}",
        directory.display()
    ));
    let builder = OverlayBuilder::create(&directory, overlay)?;
    context.namespace(namespace).overlay = Some(builder);
    note(namespace, context);
    Ok(Extra::new())
}

/// `inline-repo-action`, `git-repo-action`, `url-repo-action`
pub async fn fetch(
    step: &StepRun<'_>,
    test: &ShellDefinition,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = &step.action.namespace;
    if matches!(test.source, DefinitionSource::Url { .. }) {
        fetch_archive(step, test, context).await?;
    }
    let state = context.namespaces.entry(namespace.clone()).or_default();
    let builder = state.overlay.as_mut().ok_or_else(no_overlay)?;
    let fetched = tokio::select! {
        fetched = builder.fetch(test, &HostCommands, step.deadline) => fetched,
        never = context.consoles.drain() => match never {},
    };
    note(namespace, context);
    let fetched = fetched?;
    let mut extra = Extra::new();
    if let Some(commit) = &fetched.commit_id {
        extra.insert("commit".to_owned(), commit.clone().into());
        if let DefinitionSource::Git { repository, .. } = &test.source {
            extra.insert("repository".to_owned(), repository.clone().into());
        }
        extra.insert("path".to_owned(), test.path.clone().into());
    }
    context
        .namespace(namespace)
        .definitions
        .insert(test.index, fetched);
    Ok(extra)
}

/// Downloads an archive and unpacks it into the directory of its test.
async fn fetch_archive(
    step: &StepRun<'_>,
    test: &ShellDefinition,
    context: &mut Context,
) -> Result<(), Fault> {
    let DefinitionSource::Url {
        repository: url,
        compression,
        headers,
        ..
    } = &test.source
    else {
        return Ok(());
    };
    let wanted = Download {
        label: test.name.clone(),
        url: url.clone(),
        directory: None,
        compression: compression.clone(),
        decompress: false,
        unpack_tar: false,
        checksums: Checksums::default(),
        headers: headers.clone(),
        use_cache: true,
    };
    let directory = context.make_directory(&step.action.name)?;
    let state = context.namespace(&step.action.namespace);
    let builder = state.overlay()?.clone();
    context
        .log
        .info(format!("Fetching tests from {}", download::masked(url)));
    let downloader = context.fetches.downloader().clone();
    let mut untold = |_| {};
    let fetched = tokio::select! {
        fetched = downloader.fetch(&wanted, &directory, step.deadline, &mut untold) => fetched?,
        never = context.consoles.drain() => match never {},
    };
    let test = test.clone();
    super::blocking(context, move |_| builder.unpack(&test, &fetched.path)).await
}

/// `test-overlay`
pub fn metadata(
    step: &StepRun<'_>,
    test: &ShellDefinition,
    context: &mut Context,
) -> Result<Extra, Fault> {
    with_definition(step, test, context, |builder, fetched| {
        builder.write_metadata(test, fetched)
    })
}

/// `test-install-overlay`
pub async fn install_script(
    step: &StepRun<'_>,
    test: &ShellDefinition,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = &step.action.namespace;
    let state = context.namespaces.entry(namespace.clone()).or_default();
    let builder = state.overlay.as_mut().ok_or_else(no_overlay)?;
    let fetched = state.definitions.get(&test.index).ok_or_else(no_overlay)?;
    let extra = tokio::select! {
        extra = builder.write_install(test, fetched, &HostCommands, step.deadline) => extra,
        never = context.consoles.drain() => match never {},
    };
    note(namespace, context);
    extra
}

/// `test-runscript-overlay`
pub fn run_script(
    step: &StepRun<'_>,
    test: &ShellDefinition,
    context: &mut Context,
) -> Result<Extra, Fault> {
    with_definition(step, test, context, |builder, fetched| {
        builder.write_run_script(test, fetched)
    })
}

/// `test-definition`, after its children.
pub fn runner_configuration(action: &Action, context: &mut Context) -> Result<Extra, Fault> {
    let state = context.namespace(&action.namespace);
    if let Some(builder) = state.overlay.as_mut() {
        builder.write_runner_conf()?;
    }
    note(&action.namespace, context);
    Ok(Extra::new())
}

/// `compress-overlay`
pub async fn compress(step: &StepRun<'_>, context: &mut Context) -> Result<Extra, Fault> {
    let namespace = &step.action.namespace;
    let archive = context
        .make_directory(&step.action.name)?
        .join(format!("overlay-{}.tar.gz", step.action.level));
    let state = context.namespace(namespace);
    let tree = state.overlay()?.directory().to_owned();
    let target = archive.clone();
    super::blocking(context, move |_| {
        crate::overlay::archive::compress(&tree, &target)
    })
    .await?;
    context.namespace(namespace).overlay_archive = Some(archive);
    Ok(Extra::new())
}

fn with_definition(
    step: &StepRun<'_>,
    test: &ShellDefinition,
    context: &mut Context,
    write: impl FnOnce(&mut OverlayBuilder, &FetchedDefinition) -> Result<Extra, Fault>,
) -> Result<Extra, Fault> {
    let state = context.namespace(&step.action.namespace);
    let builder = state.overlay.as_mut().ok_or_else(no_overlay)?;
    let fetched = state.definitions.get(&test.index).ok_or_else(no_overlay)?;
    let extra = write(builder, fetched);
    note(&step.action.namespace, context);
    extra
}

fn note(namespace: &Namespace, context: &mut Context) {
    let notes = context
        .namespace(namespace)
        .overlay
        .as_mut()
        .map(OverlayBuilder::take_notes);
    for note in notes.unwrap_or_default() {
        context.log.log(note.level, note.message);
    }
}
